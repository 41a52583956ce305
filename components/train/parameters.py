"""The parameters of the train stage; their values are in conf/train/."""

from __future__ import annotations

from dataclasses import dataclass

from components.networks.parameters import Features
from components.runtime.schema import parameter

FINE_TUNED = "weights!=null and fine_tune_epochs!=0"


@dataclass(frozen=True)
class Train(Features):
    """The network, and how it learns."""

    dropout: float = parameter(at_least=0, at_most=0.9)
    "Share of the features that is left out at random before the last layer, 0-0.9."

    epochs: int = parameter(at_least=1, form=True)
    "Passes over the training images; with given weights, of the last layer alone."
    batch_size: int = parameter(at_least=1, form=True)
    "Images a step, over all GPUs together."
    learning_rate: float = parameter(above=0, form=True)
    "The highest learning rate of these epochs."
    fine_tune_epochs: int = parameter(at_least=0, form=True, only_with="weights!=null")
    "Further passes that also train the top blocks of a network with given weights."
    fine_tune_blocks: int = parameter(at_least=1, only_with=FINE_TUNED)
    "How many blocks, from the top, these train."
    fine_tune_learning_rate: float = parameter(above=0, only_with=FINE_TUNED)
    "The highest learning rate of these passes."
    patience: int | None = parameter(at_least=1)
    """Epochs without a lower validation loss after which a phase ends and the weights of its best
    epoch are restored; null trains all epochs and keeps the last."""

    optimizer: str = parameter(choices=("adam", "adamw", "sgd"), form=True)
    "Choose it together with what suits it by train/optimizer=..."
    momentum: float = parameter(at_least=0, at_most=0.9999, only_with="optimizer=sgd")
    "Of sgd (Nesterov)."
    weight_decay: float = parameter(at_least=0)
    "Share of each weight, times the learning rate, that a step takes off it."
    gradient_clipping: float | None = parameter(above=0)
    "Largest norm of all gradients together; null does not clip."
    ema: float | None = parameter(above=0, at_most=0.9999)
    "Momentum of the moving average of the weights that is validated and saved; null for none."

    schedule: str = parameter(choices=("constant", "cosine"))
    "How the learning rate moves: not at all, or down to zero along a cosine."
    warmup_epochs: float = parameter(at_least=0, only_with="schedule=cosine")
    "Epochs, parts allowed, in which a cosine schedule first rises from zero."

    label_smoothing: float = parameter(at_least=0, at_most=0.9)
    "Share of each label that is spread over all classes, 0-0.9."
    class_weights: str | None = parameter(choices=("balanced",))
    "balanced: a rare class counts as much as a frequent one; null: as the images come."

    precision: str = parameter(choices=("auto", "float32", "bfloat16", "float16"))
    "Of the computation; auto: what the GPU is fast with, float32 on a CPU."
    xla: bool = parameter()
    "Compile the network with XLA: often faster on a GPU, slower on a CPU."
