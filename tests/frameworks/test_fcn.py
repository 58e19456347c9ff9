import torch


def test_training_lowers_the_loss(make_fcn, fit):
    framework = make_fcn()
    first = fit(framework, max_epochs=1).callback_metrics["val/loss"]
    later = fit(framework, max_epochs=30).callback_metrics["val/loss"]
    assert later < 0.5 * first


def test_pixels_with_cost_zero_send_no_gradient(make_fcn):
    framework = make_fcn()
    prediction = torch.zeros(1, 1, 4, 4, requires_grad=True)
    cost_map = torch.ones(1, 1, 4, 4)
    cost_map[..., :2] = 0
    framework.task.loss(prediction, {"target": torch.ones(1, 1, 4, 4), "cost_map": cost_map}).backward()
    assert (prediction.grad[..., :2] == 0).all()
    assert (prediction.grad[..., 2:] != 0).all()
