import pytest

from im2im.targets import check_saved, check_targets

ALLOWED = [
    "im2im.networks.fnet.FNet",
    "im2im.metrics.pearson",
    "im2im.stages.train.train",
    "torch.nn.Conv2d",
    "torch.optim.Adam",
    "torch.optim.lr_scheduler.StepLR",
    "monai.networks.nets.UNet",
    "monai.losses.DiceLoss",
    "monai.transforms.RandFlipd",
    "torchmetrics.PearsonCorrCoef",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.loggers.CSVLogger",
]
REFUSED = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "numpy.f2py.crackfortran.myeval",
    "torch.utils.collect_env.run",
    "torch.load",
    "torch.hub.load",
    "im2im.app.sys.exit",
    "im2im.checkpoint.pickle.loads",
    "im2im.app.build",
    "im2im.io.writer.write_image",
    "torch.nn.modules.module.warnings.warn",
    "torch.nn.functional.warnings.warn_explicit",
    "monai.networks.utils.torch.load",
    "pytorch_lightning.callbacks.os.remove",
    "im2im.nothing.there",
    "",
    None,
    ["os.system"],
]


@pytest.mark.parametrize("target", ALLOWED)
def test_the_parts_a_run_is_made_of_are_allowed(target):
    check_targets({"network": {"_target_": target}})


@pytest.mark.parametrize("target", REFUSED)
def test_anything_else_is_refused(target):
    with pytest.raises(ValueError, match=r"config\.callbacks\.0\.x, which is not allowed; set trust=true"):
        check_targets({"callbacks": [{"x": {"_target_": target}}]})


def test_whoever_trusts_a_run_gets_it():
    check_targets({"network": {"_target_": "somebody.elses.Network"}}, trust=True)


@pytest.mark.parametrize("target", ["monai.transforms.LoadImage", "monai.transforms.LoadImaged", "monai.transforms.SaveImage"])
def test_what_calls_others_by_name_is_refused(target):
    with pytest.raises(ValueError, match="not allowed"):
        check_targets({"transform": {"_target_": target, "reader": "os.system"}})


@pytest.mark.parametrize(
    "value",
    [
        "${oc.create:{_target_:os.system}}",
        "${oc.env:SECRET}",
        "${ oc.decode : x}",
        "${${name}:x}",
        "a ${oc.dict.keys:b} c",
        "${oc.${name}:x}",
        "${oc.select:nothing,{_target_:os.system}}",
        "${a}{b}",
        [["${oc.create:x}"]],
        [{"a": ["${oc.env:x}"]}],
    ],
)
def test_a_saved_configuration_looks_up_values_and_computes_none(value):
    with pytest.raises(ValueError, match=r"computes network\.x by .* set trust=true"):
        check_saved({"network": {"x": value}})
    check_saved({"network": {"x": value}}, trust=True)


@pytest.mark.parametrize(
    "value", ["${batch_size}", "${data.root}/x", "${oc.select:by_dims.${spatial_dims}.size}", "${hydra:runtime.output_dir}", 3]
)
def test_looking_up_values_is_allowed(value):
    check_saved({"network": {"x": value}})
