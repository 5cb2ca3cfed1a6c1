"""What post-training adds to the components of training runs. One line makes a component nameable; nothing is imported yet."""

COMPONENTS = {
    "data": {
        "chat": "trimtab.posttraining.data.chat:chat",
        "pairs": "trimtab.posttraining.data.pairs:pairs",
    },
    "loss": {
        "preference": "trimtab.posttraining.losses.preference:Preference",
        "kto": "trimtab.posttraining.losses.kto:Kto",
        "reward_pairs": "trimtab.posttraining.losses.reward:RewardPairs",
    },
    "model": {
        "scored": "trimtab.posttraining.scored:Scored",
        "trained": "trimtab.posttraining.trained:trained",
    },
}
