"""What training on rollouts adds to the components of training runs; nothing is imported yet."""

COMPONENTS = {"loss": {"policy_gradient": "trimtab.rollouts.losses:PolicyGradient"}}
