# SPDX-License-Identifier: GPL-3.0-or-later
"""A source for an RTL-SDR on another machine, by rtl_tcp."""

from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._feed_source import feed_source

from amrq.errors import AmrqError
from amrq.sources import Gain, RtlTcpFeed, RtlTcpSettings, read_gain

__all__ = ["rtl_tcp_source"]


class rtl_tcp_source(feed_source):
    """Receive the samples of an rtl_tcp server, which shares an RTL-SDR over the network.

    The server is never held up. The buffer holds two seconds, or 16 MiB if these last longer; when the flowgraph is
    slower, samples are lost, counted (`counts().overflows`) and marked. If the connection is lost, the block connects
    again until the server answers. Each reconnection is counted (`counts().reconnections`), reported in the log, and
    marked as a break of the stream.

    Tags written: `rx_rate` and `rx_freq` on the first sample, after each reconnection, and on the first sample passed
    on after a retune (samples on their way at that moment are of the former frequency); `rx_overflow` at each loss of
    samples, with the number of losses so far.

    Args:
        host: of the server.
        port: of the server, 1 to 65535.
        sample_rate: samples a second: 225,001 to 300,000 and 900,001 to 3,200,000 with an RTL-SDR.
        frequency: centre, Hz.
        gain: of the tuner, dB; None: automatic.
        ppm: correction of the oscillator, a whole number of parts per million.

    Raises:
        AmrqError: no server answers, the server is not an rtl_tcp server, or a value is out of its range.
    """

    @checked_arguments
    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1234,
        sample_rate: float = 2.4e6,
        frequency: float = 100e6,
        gain: Gain | str = None,
        ppm: float = 0.0,
    ) -> None:
        if not 1 <= port <= 65535:
            raise AmrqError(f"the port of an rtl_tcp server must be from 1 to 65535, not {port}.")
        settings = RtlTcpSettings(sample_rate, frequency, _tuner_gain(gain), ppm)
        self._remote = RtlTcpFeed(host, port, settings)
        super().__init__(self._remote)

    @checked_arguments
    def set_frequency(self, frequency: float) -> None:
        """Tune to another frequency, Hz."""
        self._remote.set_frequency(frequency)

    def set_gain(self, gain: Gain | str) -> None:
        """Set the gain, dB; None: automatic."""
        self._remote.set_gain(_tuner_gain(gain))


def _tuner_gain(given: Gain | str) -> float | None:
    gain = read_gain(given)
    if gain is None or isinstance(gain, float):
        return gain
    raise AmrqError("an rtl_tcp server has one gain, that of its tuner: give a number of dB, not elements.")
