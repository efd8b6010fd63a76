/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The lines that a carrier leaves in powers of its symbols: what amrq.measure.carrier_lines and carrier_search compute
 * with NumPy. tests/test_native_lines.py holds one against the other. Every step of 32 symbols is computed by itself, so
 * that results do not depend on how many come at a time.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "columns.h"
#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define FUNCTIONS 6
#define STEP 32
#define SEGMENT 64
#define BINS 128
#define BLOCKS 16
#define RATES 12
#define GRID (2 * RATES + 1)
#define MOST_DRIFTS 32
#define LONGEST_WINDOW 1024
#define LONGEST_CHIRP 256

typedef int32_t bits __attribute__((vector_size(4 * LANES)));

/* sin(2 pi x) for |x| <= 1/4. */
#define QUARTER_SINE(x, u)                                                                                              \
    ((x) * (6.28318530718f + (u) * (-41.3417022404f + (u) * (81.6052492761f + (u) * (-76.7058597531f                  \
     + (u) * (42.0586939449f - 15.0946425769f * (u)))))))

/* exp(-2 pi i x). */
INLINE void turned(const lanes* cycles, lanes* re, lanes* im)
{
    const lanes whole = (*cycles + 12582912.0f) - 12582912.0f; /* the nearest integer */
    const lanes x = *cycles - whole;
    const bits sign = (bits)x & INT32_MIN;
    const lanes cosine = 0.25f - (lanes)((bits)x & INT32_MAX);
    const lanes sine = 0.25f - (lanes)((bits)cosine & INT32_MAX);
    *re = QUARTER_SINE(cosine, cosine * cosine);
    *im = -(lanes)((bits)QUARTER_SINE(sine, sine * sine) ^ sign);
}

/* exp(-2 pi i cycles), complex. cycles: [count], with no more than some thousand in them. */
WIDE void amrq_turned(const double* cycles, int64_t count, float* out)
{
    for (int64_t first = 0; first < count; first += LANES) {
        const int64_t held = count - first < LANES ? count - first : LANES;
        lanes x, re, im;
        memset(&x, 0, sizeof x);
        for (int64_t k = 0; k < held; k++)
            x[k] = (float)(cycles[first + k] - rint(cycles[first + k]));
        turned(&x, &re, &im);
        for (int64_t k = 0; k < held; k++) {
            out[2 * (first + k)] = re[k];
            out[2 * (first + k) + 1] = im[k];
        }
    }
}

/* Turn whole steps back, complex [32 steps]: by their rates and drifts, [steps], and phases besides, [32 steps], cycles;
 * drifts and phases may be NULL. In a step's middle the frequency is its rate. turn: cycles by which the first one is turned
 * in its beginning, afterwards those after the last. */
WIDE void amrq_carrier_turned(const float* symbols, int64_t steps, const double* rates, const double* drifts,
                              const float* phases, double* turn, float* out)
{
    double now = *turn;
    for (int64_t step = 0; step < steps; step++) {
        double cycles[STEP];
        for (int k = 0; k < STEP; k++)
            cycles[k] = now + rates[step] * k;
        for (int k = 0; drifts && k < STEP; k++)
            cycles[k] += drifts[step] * (k * (k - STEP) / 2.0);
        for (int k = 0; phases && k < STEP; k++)
            cycles[k] += phases[STEP * step + k];
        for (int first = 0; first < STEP; first += LANES) {
            const float* from = symbols + 2 * (STEP * step + first);
            float* to = out + 2 * (STEP * step + first);
            lanes x, c, s;
            for (int k = 0; k < LANES; k++)
                x[k] = (float)(cycles[first + k] - rint(cycles[first + k]));
            turned(&x, &c, &s);
            for (int k = 0; k < LANES; k++) {
                to[2 * k] = from[2 * k] * c[k] - from[2 * k + 1] * s[k];
                to[2 * k + 1] = from[2 * k] * s[k] + from[2 * k + 1] * c[k];
            }
        }
        const double next = now + rates[step] * STEP;
        now = next - floor(next);
    }
    *turn = now;
}

/* Symbols as functions of them: their phase times 2, 4, 4, 4, 8 and 16, their amplitude weighed.
 *
 * symbols: complex [32 steps]; powers: mean power around each step, [steps]; rings: weights by amplitude, [2, 129];
 * largest: amplitude over RMS beyond which none counts more; shaped: complex [6, stride], written from `begin` on.
 */
WIDE void amrq_line_functions(const float* symbols, const float* powers, int64_t steps, const float* rings,
                              float largest, float* shaped, int64_t stride, int64_t begin)
{
    float room[2 * FUNCTIONS][STEP];
    for (int64_t step = 0; step < steps; step++) {
        const float* from = symbols + 2 * STEP * step;
        const float scale = 1.0f / sqrtf(powers[step] > 1e-30f ? powers[step] : 1e-30f);
        for (int k = 0; k < STEP; k++) {
            /* Squares of tiny numbers are 0, and divided by that they would be anything. */
            const float up = fabsf(from[2 * k]) + fabsf(from[2 * k + 1]) < 1e-15f ? 0x1p60f : 1.0f;
            const float x = from[2 * k] * up, y = from[2 * k + 1] * up;
            const float amplitude = sqrtf(x * x + y * y), least = amplitude > 1e-18f ? amplitude : 1e-18f;
            const float a = x / least, b = y / least;
            const float given = amplitude / up * scale, radius = given < largest ? given : largest;
            const float square = radius * radius, soft = square < 1.0f ? square : 1.0f, fourth = square * square;
            const int32_t near = (int32_t)(radius * (128 / largest) + 0.5f);
            const int32_t place = near < 0 ? 0 : near > 128 ? 128 : near;
            const float two_re = a * a - b * b, two_im = 2 * (a * b);
            const float four_re = two_re * two_re - two_im * two_im, four_im = 2 * (two_re * two_im);
            const float eight_re = four_re * four_re - four_im * four_im, eight_im = 2 * (four_re * four_im);
            const float most_re = eight_re * eight_re - eight_im * eight_im, most_im = 2 * (eight_re * eight_im);
            const float ring16 = rings[place], ring32 = rings[129 + place];
            room[0][k] = two_re * square;
            room[1][k] = two_im * square;
            room[2][k] = four_re * fourth;
            room[3][k] = four_im * fourth;
            room[4][k] = four_re * ring16;
            room[5][k] = four_im * ring16;
            room[6][k] = four_re * ring32;
            room[7][k] = four_im * ring32;
            room[8][k] = eight_re * soft;
            room[9][k] = eight_im * soft;
            room[10][k] = most_re * soft;
            room[11][k] = most_im * soft;
        }
        for (int row = 0; row < FUNCTIONS; row++) {
            float* to = shaped + 2 * (stride * row + begin + STEP * step);
            for (int k = 0; k < STEP; k++) {
                to[2 * k] = room[2 * row][k];
                to[2 * k + 1] = room[2 * row + 1][k];
            }
        }
    }
}

/* Power spectra of the last steps and of the step before each, in 128 bins, and the energies of what they are of.
 *
 * shaped: complex [6, stride], of which the last `steps` steps end at `end`; roots: of 128; powers: [6, rows, 128] and
 * energies: [6, rows], the last `steps` rows of which are written.
 */
WIDE void amrq_line_spectra(const float* shaped, int64_t stride, int64_t end, int64_t steps, const float* roots,
                            float* powers, float* energies, int64_t rows)
{
    struct columns place[2];
    const int64_t count = FUNCTIONS * steps;
    for (int64_t first = 0; first < count; first += LANES) {
        const int64_t held = count - first < LANES ? count - first : LANES;
        const float* from[LANES];
        float* out[LANES];
        for (int64_t lane = 0; lane < LANES; lane++) {
            const int64_t one = first + (lane < held ? lane : 0), row = one / steps, step = one % steps;
            from[lane] = shaped + 2 * (stride * row + end - STEP * (steps - 1 - step) - SEGMENT);
            out[lane] = powers + BINS * (rows * row + rows - steps + step);
        }
        lanes energy = { 0 };
        for (int k = 0; k < SEGMENT; k += LANES / 2) {
            lanes values[LANES];
            for (int lane = 0; lane < LANES; lane++)
                values[lane] = *(const loose*)(from[lane] + 2 * k);
            exchanged(values);
            for (int n = 0; n < LANES / 2; n++) {
                const lanes x = values[2 * n], y = values[2 * n + 1];
                place[0].re[k + n] = x;
                place[0].im[k + n] = y;
                energy += x * x + y * y;
            }
        }
        for (int64_t lane = 0; lane < held; lane++)
            energies[(out[lane] - powers) / BINS] = energy[lane];
        const struct columns* done = place + transform_part(place, BINS, roots, 1);
        for (int k = 0; k < BINS; k += LANES) {
            lanes values[LANES];
            for (int n = 0; n < LANES; n++)
                values[n] = done->re[k + n] * done->re[k + n] + done->im[k + n] * done->im[k + n];
            exchanged(values);
            for (int64_t lane = 0; lane < held; lane++)
                *(loose*)(out[lane] + k) = values[lane];
        }
    }
}

/* Sums of one row of 128 values and of another. */
INLINE void added(const float* restrict one, const float* restrict other, float* restrict out)
{
    for (int k = 0; k < BINS; k++)
        out[k] = one[k] + other[k];
}

INLINE int highest(const float* values)
{
    float most = values[0];
    int32_t place = BINS;
    for (int k = 0; k < BINS; k++) /* from 0 on: vectors are read as they have just been written */
        most = values[k] > most ? values[k] : most;
    for (int k = 0; k < BINS; k++) {
        const int32_t here = values[k] == most ? k : BINS;
        place = here < place ? here : place;
    }
    return place;
}

/* Place of a peak between bins, cycles/symbol, by a parabola. */
INLINE double peak_frequency(const float* values, int bin)
{
    const float left = values[(bin + BINS - 1) % BINS], mid = values[bin], right = values[(bin + 1) % BINS];
    const float bend = left - 2 * mid + right;
    double shift = bend < 0 ? 0.5 * (double)((left - right) / bend) : 0;
    shift = shift < -0.5 ? -0.5 : shift > 0.5 ? 0.5 : shift;
    return (double)(bin < BINS / 2 ? bin : bin - BINS) / BINS + shift / BINS;
}

/* The strongest lines of averages over 8 and over 32 spectra, in units of their floors.
 *
 * Sums are made by doubling, a row at a time, in what a processor's nearest memory holds: of 2 rows, of 4, 8, 16 and 32.
 *
 * powers: [6, rows, 128] and energies: [6, rows]; the last `steps` rows are looked at, which must have 31 before them;
 * barred: [6, 128], bins in which no carrier is looked for; bins: [2, 6, steps] and lines: [2, 6, steps], bins and powers
 * of the strongest lines in the short and the long average; places: [2, 6, steps], their frequencies; binary:
 * [2, steps], bin and power of the strongest line of the first function in the short average where no carrier is looked
 * for.
 */
WIDE void amrq_line_averages(const float* powers, const float* energies, int64_t rows, int64_t steps,
                             const uint8_t* barred, int64_t* bins, float* lines, double* places, double* binary)
{
    float level[BINS], two[4][BINS], four[8][BINS], eight[16][BINS], sixteen[32][BINS], all[BINS];
    float floor2[4], floor4[8], floor8[16], floor16[32];
    for (int row = 0; row < FUNCTIONS; row++) {
        const uint8_t* out = barred + BINS * row;
        for (int64_t n = 1; n < rows; n++) {
            const float *now = powers + BINS * (rows * row + n), *floor = energies + rows * row + n;
            added(now, now - BINS, two[n & 3]);
            floor2[n & 3] = floor[0] + floor[-1];
            if (n < 3)
                continue;
            added(two[n & 3], two[(n - 2) & 3], four[n & 7]);
            floor4[n & 7] = floor2[n & 3] + floor2[(n - 2) & 3];
            if (n < 7)
                continue;
            added(four[n & 7], four[(n - 4) & 7], eight[n & 15]);
            floor8[n & 15] = floor4[n & 7] + floor4[(n - 4) & 7];
            if (n < 15)
                continue;
            added(eight[n & 15], eight[(n - 8) & 15], sixteen[n & 31]);
            floor16[n & 31] = floor8[n & 15] + floor8[(n - 8) & 15];
            const int64_t step = n - (rows - steps);
            if (n < 31 || step < 0)
                continue;
            added(sixteen[n & 31], sixteen[(n - 16) & 31], all);
            const float floors[2] = { floor8[n & 15], floor16[n & 31] + floor16[(n - 16) & 31] };
            for (int is_long = 0; is_long < 2; is_long++) {
                const float* from = is_long ? all : eight[n & 15];
                const float scale = 1 / (floors[is_long] > 1e-20f ? floors[is_long] : 1e-20f);
                if (!row && !is_long) {
                    for (int k = 0; k < BINS; k++)
                        level[k] = out[k] ? from[k] * scale : 0;
                    const int strange = highest(level);
                    binary[step] = strange;
                    binary[steps + step] = level[strange];
                }
                for (int k = 0; k < BINS; k++)
                    level[k] = out[k] ? 0 : from[k] * scale;
                const int64_t at = steps * (FUNCTIONS * is_long + row) + step;
                const int bin = highest(level);
                bins[at] = bin;
                lines[at] = level[bin];
                places[at] = peak_frequency(level, bin);
            }
        }
    }
}

/* What a fit is made with: lengths, the grid, and from where on a line is broad. */
struct grid {
    int64_t window, drifts; /* symbols; drifts on either side, at most 15 */
    double rate_step, drift_step;
    double clear, clearer, less_broad, broad;
    const float* straighten; /* [2, 16, 32], real and imaginary parts by block and drift */
    const float* roots;      /* of 32 */
};

struct line {
    double rate, drift, quality;
    int broad;
};

INLINE double vertex(const float* level, int64_t at, int64_t size, int64_t step, double* gain)
{
    const int64_t mid = at < 1 ? 1 : at > size - 2 ? size - 2 : at;
    double value[3];
    for (int k = 0; k < 3; k++) {
        const float power = level[(mid + k - 1) * step];
        value[k] = log(power > 1e-30f ? power : 1e-30f);
    }
    const double bend = value[0] - 2 * value[1] + value[2];
    double shift = bend < 0 ? 0.5 * (value[0] - value[2]) / bend : 0;
    shift = shift < -0.5 ? -0.5 : shift > 0.5 ? 0.5 : shift;
    if (at != mid)
        shift = 0;
    *gain = exp(0.25 * (value[2] - value[0]) * shift);
    return shift;
}

/* Make the first of as many vectors as a vector has lanes the sums of each of them. */
INLINE void each_sum(lanes values[LANES])
{
    for (int count = LANES; count > 1; count /= 2)
        for (int n = 0; n < count / 2; n++) {
            const lanes one = values[2 * n], other = values[2 * n + 1];
            values[n] = EVEN(one, other) + ODD(one, other);
        }
}

/* Fit a line to a window, complex [window], around a rate and a drift. */
INLINE struct line fitted(const float* window, double rate, double drift, const struct grid* grid,
                          struct columns place[2])
{
    const int64_t part = grid->window / BLOCKS, columns = 2 * grid->drifts + 1;
    const float turn = (float)rate, bend = (float)(drift / 2), middle = 0.5f * (float)(grid->window - 1);
    float re[LONGEST_WINDOW], im[LONGEST_WINDOW], blocks_re[BLOCKS], blocks_im[BLOCKS], size[LONGEST_WINDOW];
    static const lanes count = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    for (int64_t k = 0; k < grid->window; k += LANES) {
        const lanes low = *(const loose*)(window + 2 * k), high = *(const loose*)(window + 2 * k + LANES);
        const lanes x = EVEN(low, high), y = ODD(low, high), time = count + ((float)k - middle);
        lanes cosine, sine;
        const lanes cycles = turn * time + bend * (time * time);
        turned(&cycles, &cosine, &sine);
        *(loose*)(re + k) = x * cosine - y * sine;
        *(loose*)(im + k) = x * sine + y * cosine;
        *(loose*)(size + k) = x * x + y * y;
    }
    float energy = 0, squares = 0, inside = 0;
    lanes sums_re[BLOCKS], sums_im[BLOCKS], sums[BLOCKS];
    for (int block = 0; block < BLOCKS; block++) {
        const int64_t first = part * block;
        sums_re[block] = *(const loose*)(re + first);
        sums_im[block] = *(const loose*)(im + first);
        sums[block] = *(const loose*)(size + first);
        for (int64_t k = LANES; k < part; k += LANES) {
            sums_re[block] += *(const loose*)(re + first + k);
            sums_im[block] += *(const loose*)(im + first + k);
            sums[block] += *(const loose*)(size + first + k);
        }
    }
    each_sum(sums_re);
    each_sum(sums_im);
    each_sum(sums);
    *(loose*)blocks_re = sums_re[0];
    *(loose*)blocks_im = sums_im[0];
    for (int block = 0; block < BLOCKS; block++) {
        energy += sums[0][block];
        squares += sums[0][block] * sums[0][block];
        inside += blocks_re[block] * blocks_re[block] + blocks_im[block] * blocks_im[block];
    }
    energy = energy > 1e-20f ? energy : 1e-20f;
    float level[GRID * MOST_DRIFTS];
    const float* straighten = grid->straighten;
    for (int64_t first = 0; first < columns; first += LANES) {
        for (int block = 0; block < BLOCKS; block++) {
            const lanes c = *(const loose*)(straighten + MOST_DRIFTS * block + first);
            const lanes s = *(const loose*)(straighten + MOST_DRIFTS * (BLOCKS + block) + first);
            place[0].re[block] = blocks_re[block] * c - blocks_im[block] * s;
            place[0].im[block] = blocks_re[block] * s + blocks_im[block] * c;
        }
        const struct columns* done = place + transform_part(place, 2 * BLOCKS, grid->roots, 1);
        for (int lag = 0; lag < GRID; lag++) {
            const int bin = (lag + 2 * BLOCKS - RATES) % (2 * BLOCKS);
            *(loose*)(level + MOST_DRIFTS * lag + first) =
                done->re[bin] * done->re[bin] + done->im[bin] * done->im[bin];
        }
    }
    float most = -1;
    int64_t i = 0, j = 0;
    for (int64_t first = 0; first < columns; first += LANES) {
        lanes high = *(const loose*)(level + first);
        bits place = { 0 };
        for (int lag = 1; lag < GRID; lag++) {
            const lanes one = *(const loose*)(level + MOST_DRIFTS * lag + first);
            const bits over = one > high;
            high = (lanes)(((bits)one & over) | ((bits)high & ~over));
            place = (lag & over) | (place & ~over);
        }
        for (int column = 0; column < LANES && first + column < columns; column++)
            if (high[column] > most || (high[column] == most && place[column] < i)) {
                most = high[column];
                i = place[column];
                j = first + column;
            }
    }
    const double quality = most / energy, length = (double)grid->window;
    double gain, unused;
    const double between = vertex(level + j, i, GRID, MOST_DRIFTS, &gain);
    const double across = vertex(level + MOST_DRIFTS * i, j, columns, 1, &unused);
    const double least = BLOCKS * (double)squares, filled = length * (double)energy * (double)energy /
                                                            (least > 1e-30 ? least : 1e-30);
    const double whole = (quality * gain - 1) / (filled - 1 > 1 ? filled - 1 : 1);
    const double parts = ((double)(inside / energy) - 1) / (length / BLOCKS - 1);
    const double share = parts > grid->clearer ? grid->less_broad : grid->broad;
    return (struct line){ rate + grid->rate_step * ((double)(i - RATES) + between),
                          drift + grid->drift_step * ((double)(j - grid->drifts) + across), quality,
                          parts > grid->clear && whole < share * parts };
}

/* Fits of the windows that end with each step, for the least order with a line.
 *
 * shaped: complex [6, stride], of which the last step ends at `end`; orders: M of the six functions; seen: [6, steps],
 * where a line is looked for; near: [2, 6, steps], its rate and drift nearly; plain: quality from which on other
 * functions of the order are not tried; line: quality from which on other orders are not; found: [3, 6, steps], rates,
 * drifts and qualities, and broad: [6, steps], all zero before.
 */
WIDE void amrq_line_fits(const float* shaped, int64_t stride, int64_t end, int64_t steps, const int64_t* orders,
                         const uint8_t* seen, const double* near, const struct grid* grid, double plain, double line,
                         double* found, uint8_t* broad)
{
    struct columns place[2];
    const int64_t all = FUNCTIONS * steps;
    for (int64_t step = 0; step < steps; step++) {
        const int64_t first = end - STEP * (steps - 1 - step) - grid->window;
        for (int row = 0, stop; row < FUNCTIONS; row = stop) {
            for (stop = row; stop < FUNCTIONS && orders[stop] == orders[row];)
                stop++;
            int wanted = 1;
            double best = 0;
            for (int one = row; one < stop; one++) {
                const int64_t at = steps * one + step;
                if (!seen[at] || !wanted)
                    continue;
                const struct line fit =
                    fitted(shaped + 2 * (stride * one + first), near[at], near[all + at], grid, place);
                found[at] = fit.rate;
                found[all + at] = fit.drift;
                found[2 * all + at] = fit.quality;
                broad[at] = (uint8_t)fit.broad;
                wanted = fit.quality < plain;
                best = fit.quality > best ? fit.quality : best;
            }
            for (int one = row; one < stop; one++)
                if (found[2 * all + steps * one + step] != best)
                    found[2 * all + steps * one + step] = 0;
            if (best > line)
                break;
        }
    }
}

/* The highest power in the spectra of each function's window, dechirped by up to 16 drifts.
 *
 * shaped: complex [6, stride], of which `length` from `first` on are looked at; table: by what they are dechirped,
 * [6, 2, length, 16], real and imaginary parts for each drift; bins: power of two, at most 256; allowed: [6, bins];
 * roots: of `bins`; peaks: [2, 6], drift and bin; tops: [6]. The power itself where drifts have none is 0.
 */
WIDE void amrq_line_chirps(const float* shaped, int64_t stride, int64_t first, int64_t length, const float* table,
                           int64_t bins, const float* roots, const uint8_t* allowed, int64_t* peaks, float* tops)
{
    struct columns place[2];
    for (int row = 0; row < FUNCTIONS; row++) {
        const float* from = shaped + 2 * (stride * row + first);
        const float *c = table + 2 * LANES * length * row, *s = c + LANES * length;
        for (int64_t k = 0; k < length; k++) {
            const float x = from[2 * k], y = from[2 * k + 1];
            const lanes re = *(const loose*)(c + LANES * k), im = *(const loose*)(s + LANES * k);
            place[0].re[k] = x * re - y * im;
            place[0].im[k] = x * im + y * re;
        }
        const int64_t filled = 2 * length > bins ? bins : bins / 2;
        memset(place[0].re + length, 0, sizeof(lanes) * (size_t)(filled - length));
        memset(place[0].im + length, 0, sizeof(lanes) * (size_t)(filled - length));
        struct columns* done = place + transform_part(place, (int)bins, roots, filled < bins);
        lanes most = { 0 };
        for (int64_t k = 0; k < bins; k++) {
            if (!allowed[bins * row + k])
                continue;
            const lanes power = done->re[k] * done->re[k] + done->im[k] * done->im[k];
            const bits over = power > most;
            done->re[k] = power;
            most = (lanes)(((bits)power & over) | ((bits)most & ~over));
        }
        int best = 0;
        for (int lane = 1; lane < LANES; lane++)
            best = most[lane] > most[best] ? lane : best;
        const float* found = (const float*)done->re + best;
        tops[row] = most[best];
        peaks[row] = best;
        peaks[FUNCTIONS + row] = 0;
        for (int64_t k = bins - 1; k >= 0; k--)
            if (allowed[bins * row + k] && found[LANES * k] == tops[row])
                peaks[FUNCTIONS + row] = k;
    }
}

/* What chirps are searched with: see amrq.measure.carrier_lines.Chirps and carrier_search. */
struct chirps {
    int64_t length, bins, every, fit; /* symbols of a window, bins, steps from search to search, symbols of a fit */
    double least;                     /* power over the floor, that a line must have */
    const float *table, *roots;       /* as in amrq_line_chirps */
    const uint8_t* allowed;
    const double *frequencies, *drifts; /* of bins; of a function's drifts, [6, 16] */
    const int64_t* orders;              /* [6] */
};

/* The lines of the window that begins at `first`: frequencies, drifts and powers over the floor, [3, 6]. */
static void chirped(const float* shaped, int64_t stride, int64_t first, const struct chirps* with, double* found)
{
    int64_t peaks[2 * FUNCTIONS], least = 0;
    float tops[FUNCTIONS];
    amrq_line_chirps(shaped, stride, first, with->length, with->table, with->bins, with->roots, with->allowed, peaks, tops);
    for (int row = 0; row < FUNCTIONS; row++) {
        const float* from = shaped + 2 * (stride * row + first);
        float sums[16] = { 0 }, energy = 0;
        for (int64_t k = 0; k < 2 * with->length; k += 16)
            for (int lane = 0; lane < 16; lane++)
                sums[lane] += from[k + lane] * from[k + lane];
        for (int lane = 0; lane < 16; lane++)
            energy += sums[lane];
        const double quality = tops[row] / (energy > 1e-20f ? energy : 1e-20f);
        const int there = quality >= with->least && (!least || with->orders[row] <= least);
        least = there && !least ? with->orders[row] : least;
        found[row] = with->frequencies[peaks[FUNCTIONS + row]];
        found[FUNCTIONS + row] = with->drifts[16 * row + peaks[row]];
        found[2 * FUNCTIONS + row] = there ? quality : 0;
    }
}

/* Search the windows of steps for chirps, where no line stands still: every so many steps, and twice as often where one
 * moves.
 *
 * shaped: complex [6, stride], of which the last step ends at the end; first: number of the first step; settled, lined:
 * whether a fit shows a line, and an average does, [steps]; last: what the last search found, [3, 6], changed; rates and
 * drifts in the middle of a fit, [2, 6, steps], and where there are any, [6, steps]. Returns whether there are any.
 */
int64_t amrq_line_searches(const float* shaped, int64_t stride, int64_t steps, int64_t first, const uint8_t* settled,
                           const uint8_t* lined, const struct chirps* with, double* last, double* found, uint8_t* seen)
{
    int64_t any = 0;
    int moving = 0;
    for (int row = 0; row < FUNCTIONS; row++)
        moving |= last[2 * FUNCTIONS + row] > 0;
    for (int64_t step = 0; step < steps; step++) {
        const int64_t place = (first + step + 1) % (2 * with->every);
        if (place % with->every == 0) {
            if (moving || (!settled[step] && (place == 0 || lined[step])))
                chirped(shaped, stride, stride - STEP * (steps - 1 - step) - with->length, with, last);
            else
                memset(last, 0, sizeof(double) * 3 * FUNCTIONS);
            moving = 0;
            for (int row = 0; row < FUNCTIONS; row++)
                moving |= last[2 * FUNCTIONS + row] > 0;
        }
        if (!moving)
            continue;
        const double back = (double)with->fit / 2 - (double)with->length / 2 - (double)(place % with->every * STEP);
        for (int row = 0; row < FUNCTIONS; row++) {
            const int64_t at = steps * row + step;
            found[at] = last[row] - back * last[FUNCTIONS + row];
            found[FUNCTIONS * steps + at] = last[FUNCTIONS + row];
            seen[at] = last[2 * FUNCTIONS + row] > 0;
            any |= seen[at];
        }
    }
    return any;
}
