# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page of the thesis's models says in words."""

__all__ = ["CHUNKS", "COST", "DIFFERENCES", "GATE", "LEVELS", "SPEED", "UTILISATION"]


def _prose(text: str) -> str:
    return " ".join(text.split())


CHUNKS = _prose(
    """Chunks have 32 symbols at one sample a symbol, the carrier phase is known, and all come from Algorithm
    I. N_a is the complex noise power a symbol, where a power of 1 is that of a unit-power signal (Es/N0 =
    1/N_a for such a signal); N_p is the standard deviation of each symbol's phase in radians. Intervals are
    Clopper-Pearson at 95 %. Training, gate and evaluation draw their chunks from streams of their own."""
)
GATE = _prose(
    """The gate stops a training, so that passing it after many tries is partly luck: a network that is wrong
    on one chunk in 1,000 passes one try in ten. What it is worth is told by the other chunks, on which
    nothing was decided."""
)
COST = _prose(
    """The thesis's columns are from its slides: throughput and time of a batch of 32 on a GPU, resources by
    Algorithm II; its weights are what the DSP column implies."""
)
SPEED = _prose(
    """Times of the other model over this one's, in the same round: above 1, this one is faster; least and most
    of the rounds in brackets."""
)
UTILISATION = _prose(
    """The estimator gives DSP, FF and LUT of the thesis's 27 unpruned rows to the digit, and BRAM of 23: four
    rows are printed lower than the formula gives (5f_4c float32: 38 for 40; 5f_5c at 8, 6 and 4 bits: 14
    for 16, 9 for 11, 6 for 7). The figures above are lower where rounding made weights zero, which the
    algorithm does not count. It is a scaled count of parameters: 133,472 DSP slices for the smallest 8-bit
    network, where an XC7Z020 has 220."""
)
LEVELS = _prose(
    """The networks know one noise level and are tried at others; the likelihood classifier knows the level it
    is tried at, so that it bounds any model."""
)
DIFFERENCES = (
    _prose(
        """- **Not every cell passes the gate.** The thesis tweaked and repeated until each did; here a cell has the
        epochs of the recipe, one annealing and then short ones with other chunks, and the page says how it ended.
        As in the thesis, all that fail are of the smallest architecture, vgglike_2f_1c, or have weights of 4 bits.
        Two earlier recipes of this setting passed 42 and 60 cells: the first had short roundings; the second let the
        batch grow to the whole epoch while the rate falls, and went on from retries that had made the network
        worse (a 4-bit vgglike_3f_2c_2re_2mp from 26 mistakes in 16,384 to 114). Now batches end at 512, and each
        retry begins from the best network so far. The corrected setting was made before that; 15 of its 19 that
        fail have weights of 4 bits. What did not help in trials beside the sweeps (2026-11-24): chunks chosen for
        their loss, more noise in training, margins, uncommon mixes of symbols, learning from the parent's scores,
        other settings of the optimiser, other scales and clipping. The smallest network came down to 19 mistakes
        in floating point in 900 epochs of batches of 64; its pruned 4-bit children ended between 78 and 674,
        depending on the parent more than on the epochs."""
    ),
    _prose(
        """- **Pruned stays pruned.** The thesis masks the weakest filters and neurons and trains on without
        the mask, which brings most of the weights back: its rows "pruned by 20 %" hold some 10 % fewer
        weights. Here they are taken out, with the weights of the next layer that they fed, so that of a
        layer between two others 30 % fewer outputs leave 49 % of the weights. No training can undo it, and
        files, operations and estimates shrink with it."""
    ),
    _prose(
        """- **Quantised is not slower.** The thesis timed fake quantisation on a GPU at batches of 32 and
        found it 10 to 20 times slower than floating point. Here the exported graph holds int8 weights,
        int32 biases and scales that are powers of two, and ONNX Runtime runs its convolutions and dense
        layers in integers. Weights of 4 and 6 bits stand in bytes: as fast as those of 8 bits, not faster.
        Activations have 8 bits throughout."""
    ),
    _prose(
        """- **Where training starts matters more than how long it lasts.** Trained for 20 s at rate 0.003, the
        smallest network was wrong on 8.9 % of 16,384 fresh chunks with zero biases and equal taps (88 epochs,
        on a busier machine), on 5.8 % with spread biases (141), and on 0.4 % with these and small outer taps
        (144), as `VggLikeNet` starts. Every epoch has fresh chunks: on a fixed set of 2,304 the smallest network
        memorises them and stands at 49 % on others."""
    ),
    _prose(
        """- **100 % on 2,304 chunks proves little.** At this noise the likelihood bound is 100 % in both
        settings, with a margin. The networks' last mistakes are chunks with an uncommon mix of symbols,
        which no noise explains: of the smallest one, 8ASK with few symbols at its second level from
        outside, taken for 4ASK. Away from the noise that they were trained on they fall far below the
        bound, since they have learned one noise level and not to weigh it. The project's own networks are
        trained on 0 to 20 dB and stay within a few points of the bound there with a hundredth of the
        weights ([models](models.md))."""
    ),
    _prose(
        """- **Peak scaling gives classes away.** With the level known QPSK has 4.7 times the power of 8ASK.
        The corrected setting takes that away."""
    ),
)
