"""Physical lengths in micrometres."""

import math

_MICROMETRES = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,  # micro sign
    "μm": 1.0,  # Greek mu
    "\\u00b5m": 1.0,  # as ImageJ writes it
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "inch": 25400.0,
    "in": 25400.0,
    "m": 1e6,
    "meter": 1e6,
}


def micrometres(value: object, unit: str | None) -> float | None:
    """A length in micrometres; None where the unit is none of length ("pixel") or the value no positive number."""
    factor = _MICROMETRES.get((unit or "").strip().lower())
    try:
        length = float(value) * (factor or math.nan)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return length if math.isfinite(length) and length > 0 else None
