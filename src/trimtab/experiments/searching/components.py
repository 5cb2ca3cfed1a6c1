"""The components of searches, by kind."""

from trimtab.config.registry import Registry

OPTIMIZERS = Registry(
    "search_optimizer",
    {
        "random": "trimtab.search.simple:RandomSearch",
        "grid": "trimtab.search.simple:GridSearch",
        "pso": "trimtab.search.swarm:ParticleSwarm",
        "annealing": "trimtab.search.local:Annealing",
        "climb": "trimtab.search.local:HillClimb",
        "cma": "trimtab.search.cma:CmaEs",
        "optuna": "trimtab.search.optuna_adapter:OptunaSearch",
    },
    supplied=("space", "budget", "seed", "initial"),
)

SCHEDULERS = Registry(
    "search_scheduler",
    {
        "whole": "trimtab.search.scheduler:Whole",
        "rungs": "trimtab.search.rungs:Rungs",
        "population": "trimtab.search.population:Population",
        "race": "trimtab.search.racing:Race",
        "pfa": "trimtab.search.policies.rule:RulePolicy",
        "cfa": "trimtab.search.policies.cost:CostPolicy",
        "vfa": "trimtab.search.policies.value:ValuePolicy",
        "dla": "trimtab.search.policies.lookahead:LookaheadPolicy",
    },
    supplied=("optimizer", "steps"),
)

POLICIES = ("pfa", "cfa", "vfa", "dla")
"""The schedulers that choose the settings too."""

REGISTRIES = (OPTIMIZERS, SCHEDULERS)
