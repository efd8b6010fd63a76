/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The channel's, the matched and the timing's filter of blocks of a channel: what amrq.receive.receiver and
 * amrq.receive.timing compute with NumPy. tests/test_native_filters.py holds one against the other.
 *
 * As many blocks as a vector has lanes are transformed side by side, each in its own: what comes of a block does not
 * depend on those beside it. Of what the filters put out only that is written which somebody reads.
 */

#define LONGEST 512

#include <stdint.h>

#include "columns.h"
#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define SPAN 32

/* Blocks' spectra and what becomes of them. */
struct channel_filters {
    int64_t bins, first, hop;      /* bins: power of two, 32 to LONGEST; samples that are kept, and the first of them */
    float most, line_most;         /* that a mean power may be, and that of a sample */
    const float *weights, *roots;  /* of the line, see amrq_channel_filtered; of `bins` */
};

/* Put spectra times responses into columns, real and imaginary parts exchanged: a transform is the inverse one then. */
INLINE void filtered(const float* spectra, const float* const responses[LANES], int64_t held, int64_t bins,
                     struct columns place[2])
{
    const float scale = 1.0f / (float)bins;
    for (int64_t bin = 0; bin < bins; bin += LANES / 2) {
        lanes rows[LANES];
        for (int64_t n = 0; n < LANES; n++) {
            const int64_t row = n < held ? n : 0;
            const lanes by = *(const loose*)(responses[row] + 2 * bin) * scale;
            rows[n] = *(const loose*)(spectra + 2 * (bins * row + bin)) * by;
        }
        exchanged(rows);
        for (int k = 0; k < LANES / 2; k++) {
            place[0].im[bin + k] = rows[2 * k];
            place[0].re[bin + k] = rows[2 * k + 1];
        }
    }
}

/* |z|^2 of a span's samples, up to a largest, in columns. */
INLINE void powers(const struct columns* from, int64_t first, float most, lanes out[SPAN])
{
    for (int k = 0; k < SPAN; k++) {
        const float *x = (const float*)(from->re + first + k), *y = (const float*)(from->im + first + k);
        float* to = (float*)(out + k);
        for (int lane = 0; lane < LANES; lane++) {
            const float power = x[lane] * x[lane] + y[lane] * y[lane];
            to[lane] = power < most ? power : most;
        }
    }
}

/* Mean powers of spans, [held, hop / SPAN]. */
INLINE void means(const struct columns* from, int64_t held, const struct channel_filters* with, double* out)
{
    const int64_t spans = with->hop / SPAN;
    for (int64_t span = 0; span < spans; span++) {
        lanes power[SPAN];
        lanes sum = { 0 };
        powers(from, with->first + SPAN * span, 1e37f, power);
        for (int k = 0; k < SPAN; k++)
            sum += power[k];
        for (int64_t row = 0; row < held; row++) {
            const float mean = sum[row] / SPAN;
            out[spans * row + span] = mean < with->most ? mean : with->most; /* what is no number is more than it, too */
        }
    }
}

/* Samples that are kept, complex [held, hop]. */
INLINE void kept(const struct columns* from, int64_t held, const struct channel_filters* with, float* out)
{
    for (int64_t first = 0; first < with->hop; first += LANES / 2) {
        lanes rows[LANES];
        for (int k = 0; k < LANES / 2; k++) {
            rows[2 * k] = from->im[with->first + first + k];
            rows[2 * k + 1] = from->re[with->first + first + k];
        }
        exchanged(rows);
        for (int64_t row = 0; row < held; row++)
            *(loose*)(out + 2 * (with->hop * row + first)) = rows[row];
    }
}

/* Halves of the symbol rate's line in spans, [held, hop / SPAN, 4]. */
INLINE void halves(const struct columns* from, int64_t held, const struct channel_filters* with, float* out)
{
    const int64_t spans = with->hop / SPAN;
    for (int64_t span = 0; span < spans; span++) {
        lanes power[SPAN];
        lanes sums[4] = { { 0 } };
        powers(from, with->first + SPAN * span, with->line_most, power);
        for (int k = 0; k < SPAN; k++)
            for (int part = 0; part < 4; part++)
                sums[part] += power[k] * with->weights[SPAN * part + k];
        for (int64_t row = 0; row < held; row++)
            for (int part = 0; part < 4; part++)
                out[4 * (spans * row + span) + part] = sums[part][row];
    }
}

/* Filter blocks of a channel.
 *
 * spectra: complex [blocks, bins], in the order of an FFT; responses: of the channel's, the matched and the timing's
 * filter, each value twice, [any, 3, 2 bins]; which: those of each block, [blocks]; with->weights: of both halves of the
 * line in a span, complex, by part, [4, 32]. Of what comes out of the first: mean powers of spans, [blocks, hop / 32]; of
 * the second: samples, complex [blocks, hop]; of the third: halves of the line, complex [blocks, hop / 32, 2].
 */
WIDE void amrq_channel_filtered(const float* spectra, int64_t blocks, const float* responses, const int64_t* which,
                                const struct channel_filters* with, double* power, float* samples, float* line)
{
    struct columns place[2];
    const int64_t bins = with->bins, spans = with->hop / SPAN;
    for (int64_t block = 0; block < blocks; block += LANES) {
        const int64_t held = blocks - block < LANES ? blocks - block : LANES;
        const float* from = spectra + 2 * bins * block;
        const float* by[LANES];
        for (int filter = 0; filter < 3; filter++) {
            for (int64_t row = 0; row < held; row++)
                by[row] = responses + 2 * bins * (3 * which[block + row] + filter);
            filtered(from, by, held, bins, place);
            const struct columns* done = place + transform(place, (int)bins, with->roots);
            if (filter == 0)
                means(done, held, with, power + spans * block);
            else if (filter == 1)
                kept(done, held, with, samples + 2 * with->hop * block);
            else
                halves(done, held, with, line + 4 * spans * block);
        }
    }
}
