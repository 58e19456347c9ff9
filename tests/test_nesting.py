from im2im.nesting import leaves


def test_every_value_has_a_dotted_key_and_lists_are_values():
    nested = {"a": {"b": 1, "c": [2, {"d": 3}]}, "e": {}, "f": None}
    assert dict(leaves(nested)) == {"a.b": 1, "a.c": [2, {"d": 3}], "e": {}, "f": None}
