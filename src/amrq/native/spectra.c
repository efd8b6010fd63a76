/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Windowed transforms of overlapping frames and their squared magnitudes, in one go: a frame stays in the cache from
 * its samples to its powers. tests/test_native.py holds it against SciPy's transform.
 *
 * A transform of N = R C points is done as C transforms of R points, a turn of each value, and R transforms of C
 * points (Bailey, 1990). Both are done for 16 columns side by side (columns.h).
 */

#include <stdint.h>

#include "columns.h"
#include "wide.h"

/* Squared magnitudes of the transforms of windowed frames, lowest frequency first.
 *
 * samples: complex, `hop` from one frame to the next; rows, columns: N = rows x columns, each a multiple of 16 and at
 * most 256; window: [N]; turns: exp(-2 pi i r c / N) of row r and column c, [rows, columns] real parts and after them
 * imaginary ones; roots: of `rows` and of `columns`, as above, one after the other; room: [2 N]; out: [count, N].
 */
WIDE void amrq_spectra(const float* samples, int64_t count, int64_t hop, int64_t rows, int64_t columns,
                       const float* window, const float* turns, const float* roots, float* room, float* out)
{
    struct columns place[2];
    const int64_t bins = rows * columns, half = bins / 2;
    float *turned_re = room, *turned_im = room + bins;
    for (int64_t frame = 0; frame < count; frame++) {
        const float* from = samples + 2 * hop * frame;
        float* to = out + bins * frame;
        for (int64_t c = 0; c < columns; c += LANES) {
            for (int64_t r = 0; r < rows; r++) {
                const float* x = from + 2 * (columns * r + c);
                const lanes low = *(const loose*)x, high = *(const loose*)(x + LANES);
                const lanes w = *(const loose*)(window + columns * r + c);
                place[0].re[r] = EVEN(low, high) * w;
                place[0].im[r] = ODD(low, high) * w;
            }
            struct columns* done = place + transform(place, (int)rows, roots);
            for (int64_t r = 0; r < rows; r++) {
                const lanes re = done->re[r], im = done->im[r];
                const lanes cos = *(const loose*)(turns + columns * r + c);
                const lanes sin = *(const loose*)(turns + bins + columns * r + c);
                done->re[r] = re * cos - im * sin;
                done->im[r] = re * sin + im * cos;
            }
            const float *re = (const float*)done->re, *im = (const float*)done->im;
            for (int64_t lane = 0; lane < LANES; lane++)
                for (int64_t r = 0; r < rows; r++) {
                    turned_re[(c + lane) * rows + r] = re[LANES * r + lane];
                    turned_im[(c + lane) * rows + r] = im[LANES * r + lane];
                }
        }
        for (int64_t r = 0; r < rows; r += LANES) {
            for (int64_t c = 0; c < columns; c++) {
                place[0].re[c] = *(const loose*)(turned_re + c * rows + r);
                place[0].im[c] = *(const loose*)(turned_im + c * rows + r);
            }
            const struct columns* done = place + transform(place, (int)columns, roots + 2 * rows);
            for (int64_t c = 0; c < columns; c++) {
                const int64_t bin = c * rows + r;
                *(loose*)(to + (bin < half ? bin + half : bin - half)) =
                    done->re[c] * done->re[c] + done->im[c] * done->im[c];
            }
        }
    }
}

/* Whether samples are all below a limit, and no three of those `stride` apart are the same in a row: 1, otherwise 0.
 *
 * samples: complex; limit: above 0. Numbers are compared as their bits, since some may be none.
 */
WIDE int amrq_usable(const float* samples, int64_t count, int64_t stride, float limit)
{
    const uint32_t* bits = (const uint32_t*)samples;
    uint32_t most, bound;
    __builtin_memcpy(&bound, &limit, sizeof bound);
    int64_t same = 0;
    /* Piece by piece, so that both read it out of the cache. */
    for (int64_t first = 0; first < count; first += 4096) {
        const int64_t last = first + 4096 < count ? first + 4096 : count;
        most = 0;
        for (int64_t k = 2 * first; k < 2 * last; k++) {
            const uint32_t size = bits[k] & 0x7fffffff;
            most = size > most ? size : most;
        }
        if (most >= bound)
            return 0;
        for (int64_t k = (first + stride - 1) / stride * stride; k < last; k += stride) {
            if (k < stride)
                continue;
            const float *a = samples + 2 * k, *b = samples + 2 * (k - stride);
            same = a[0] == b[0] && a[1] == b[1] ? same + 1 : 0;
            if (same > 2)
                return 0;
        }
    }
    return 1;
}
