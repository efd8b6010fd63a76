/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The hot loops of the detector. Each does what the NumPy code beside its caller does, addition for addition, so both
 * find the same; tests/test_native.py holds one against the other. Plain C: loops that a compiler turns into vector
 * instructions, for the plainest processor and, on x86 with GCC, for AVX2 and AVX-512 as well, chosen when loaded.
 *
 * All arrays are of float, row after row, without gaps, if nothing else is said.
 */

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define LANES 16
#define PIECE 256

/* The version of these functions: the loader takes no other. */
int amrq_native_version(void)
{
    return 14;
}

/* The largest of some values. */
INLINE float largest(const float* values, int64_t count)
{
    float best[LANES];
    int64_t k = 0;
    for (int lane = 0; lane < LANES; lane++)
        best[lane] = -FLT_MAX;
    for (; k + LANES <= count; k += LANES)
        for (int lane = 0; lane < LANES; lane++)
            best[lane] = values[k + lane] > best[lane] ? values[k + lane] : best[lane];
    for (; k < count; k++)
        best[0] = values[k] > best[0] ? values[k] : best[0];
    for (int lane = 1; lane < LANES; lane++)
        best[0] = best[lane] > best[0] ? best[lane] : best[0];
    return best[0];
}

/* to[k] = a[k] + b[k], to may be a; or a[k] + a[k + 1]; or a[2 k] + a[2 k + 2]. Each returns the largest. */
INLINE float add(const float* a, const float* b, int64_t count, float* to)
{
    float top = -FLT_MAX;
    for (int64_t k = 0; k < count; k++) {
        const float sum = a[k] + b[k];
        to[k] = sum;
        top = sum > top ? sum : top;
    }
    return top;
}

INLINE float add_neighbours(const float* restrict a, int64_t count, float* restrict to)
{
    float top = -FLT_MAX;
    for (int64_t k = 0; k < count; k++) {
        const float sum = a[k] + a[k + 1];
        to[k] = sum;
        top = sum > top ? sum : top;
    }
    return top;
}

INLINE float add_every_second(const float* restrict a, int64_t count, float* restrict to)
{
    float top = -FLT_MAX;
    for (int64_t k = 0; k < count; k++) {
        const float sum = a[2 * k] + a[2 * k + 2];
        to[k] = sum;
        top = sum > top ? sum : top;
    }
    return top;
}

/* Rectangles over their thresholds. */
struct found {
    int32_t* places;     /* [most, 4]: exponents of time and frequency, row and column of the first cell */
    float* sums;         /* [most] */
    int64_t most, count; /* those that find room, and all */
};

/* Mark the cells of rectangles of 2^j rows by 2^i bins over a threshold, whose sums are a piece of a row of sums. */
INLINE void mark(const float* restrict sums, int64_t count, float threshold, int i, int j, int64_t bins,
                      uint8_t* restrict mask)
{
    uint8_t over[PIECE];
    for (int64_t k = 0; k < count; k++)
        over[k] = sums[k] > threshold;
    for (int64_t t = 0; t < (int64_t)1 << j; t++)
        for (int64_t f = 0; f < (int64_t)1 << i; f++) {
            uint8_t* to = mask + t * bins + f;
            if (i < 2)
                for (int64_t k = 0; k < count; k++)
                    to[k] |= over[k];
            else
                for (int64_t k = 0; k < count; k++)
                    to[k << (i - 1)] |= over[k];
        }
}

/* Note the rectangles over a threshold, likewise. */
static void note(const float* sums, int64_t count, float threshold, const int32_t place[4], struct found* found)
{
    const int i = place[1];
    for (int64_t k = 0; k < count; k++) {
        if (!(sums[k] > threshold))
            continue;
        if (found->count < found->most) {
            int32_t* to = found->places + 4 * found->count;
            memcpy(to, place, 4 * sizeof *to);
            to[3] += (int32_t)(i ? k << (i - 1) : k);
            found->sums[found->count] = sums[k];
        }
        found->count++;
    }
}

/* Compare the sums of one row, and those over ever wider stretches of it, with their thresholds.
 *
 * from: [bins], whose sums over time are made here of a and b, unless these are NULL; narrow: room for two rows.
 */
INLINE void compare_row(const float* a, const float* b, float* by_time, int64_t bins, int j, int64_t row, int widest,
                        const float* thresholds, float* narrow, float* tops, uint8_t* mask, struct found* found)
{
    const float* from = by_time;
    int64_t length = bins;
    for (int i = 0; i <= widest || i == 0; i++) {
        float* to = i ? narrow + (i & 1) * bins : by_time;
        if (i)
            length = i == 1 ? bins - 1 : (length - 1) / 2;
        if (length <= 0)
            break;
        const float threshold = i <= widest ? thresholds[i] : FLT_MAX;
        for (int64_t first = 0; first < length; first += PIECE) {
            const int64_t piece = length - first < PIECE ? length - first : PIECE;
            float value;
            if (i > 1)
                value = add_every_second(from + 2 * first, piece, to + first);
            else if (i)
                value = add_neighbours(from + first, piece, to + first);
            else if (a)
                value = add(a + first, b + first, piece, to + first);
            else
                value = largest(from + first, piece);
            if (threshold == FLT_MAX)
                continue;
            tops[i] = value > tops[i] ? value : tops[i];
            if (!(value > threshold))
                continue;
            const int64_t column = i ? first << (i - 1) : first;
            const int32_t place[4] = { j, i, (int32_t)row, (int32_t)column };
            if (mask) {
                mark(to + first, piece, threshold, i, j, bins, mask + row * bins + column);
                found->count++;
            } else {
                note(to + first, piece, threshold, place, found);
            }
        }
        from = to;
    }
}

/* Compare the sums of all rectangles of 2^j rows by 2^i bins with their thresholds, half their sides apart.
 *
 * cells: [rows, bins]; thresholds: [times, widths], for j < times and i < widths, FLT_MAX where no rectangle is compared;
 * widest: [times], the largest i for each j, -1 for none; room: [4 times + 2, bins].
 * tops: [times, widths], the largest sum of each size. mask: [rows, bins], set where a rectangle is over its threshold;
 * without one (NULL), rectangles go to places and sums, in the order in which they are complete.
 * Returns how many were found, which may be more than find room; with a mask, whether any was.
 */
WIDE int64_t amrq_rectangles(const float* cells, int64_t rows, int64_t bins, int times, int widths,
                                  const float* thresholds, const int32_t* widest, float* room, float* tops,
                                  uint8_t* mask, int32_t* places, float* sums, int64_t most)
{
    struct found found = { places, sums, most, 0 };
    float* narrow = room + 4 * times * bins;
    for (int k = 0; k < times * widths; k++)
        tops[k] = -FLT_MAX;
    for (int64_t last = 0; last < rows; last++) {
        /* Sums over longer times follow as soon as the rows that they need are there, which are in the cache still. */
        int64_t row = last;
        for (int j = 0; j < times; j++) {
            const float *a = NULL, *b = NULL;
            float* by_time = (float*)cells + row * bins; /* is read only */
            if (j) {
                if (j == 1) {
                    if (row < 1)
                        break;
                    row--;
                    a = cells + row * bins;
                    b = a + bins;
                } else {
                    if (row < 2 || row & 1)
                        break;
                    a = room + (4 * (j - 1) + ((row - 2) & 3)) * bins;
                    b = room + (4 * (j - 1) + (row & 3)) * bins;
                    row = (row - 2) / 2;
                }
                by_time = room + (4 * j + (row & 3)) * bins;
            }
            compare_row(a, b, by_time, bins, j, j ? row << (j - 1) : row, widest[j], thresholds + j * widths, narrow,
                        tops + j * widths, mask, &found);
        }
    }
    return found.count;
}

/* Mark the cells of rectangles, the strongest first, that overlap none that stands out much more.
 *
 * places: [count, 4] as above, the strongest first; values: [count], above 0; painted: room for a byte of each;
 * tops: [rows, bins], zero before and after; mask: [rows, bins].
 */
void amrq_paint(const int32_t* places, const float* values, int64_t count, float alike, uint8_t* painted, float* tops,
                     int64_t rows, int64_t bins, uint8_t* mask)
{
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < count; k++) {
            const int32_t* place = places + 4 * k;
            const int64_t first = place[2], left = place[3];
            int64_t last = first + ((int64_t)1 << place[0]), right = left + ((int64_t)1 << place[1]);
            last = last < rows ? last : rows;
            right = right < bins ? right : bins;
            if (pass) {
                for (int64_t row = first; painted[k] && row < last; row++)
                    memset(tops + row * bins + left, 0, sizeof *tops * (size_t)(right - left));
                continue;
            }
            float top = 0;
            for (int64_t row = first; row < last; row++) {
                const float found = largest(tops + row * bins + left, right - left);
                top = found > top ? found : top;
            }
            painted[k] = top * alike <= values[k];
            if (!painted[k])
                continue;
            for (int64_t row = first; row < last; row++) {
                for (int64_t bin = left; bin < right; bin++)
                    if (tops[row * bins + bin] < values[k])
                        tops[row * bins + bin] = values[k];
                memset(mask + row * bins + left, 1, (size_t)(right - left));
            }
        }
}

/* Whether a stripe of rows holds power in most of its rows: the middle row (of up to three the lowest) over the mean. */
static int lasts(const float* rows, int64_t bins, int64_t count, int64_t left, int64_t width, double least)
{
    double ordered[64], total = 0;
    for (int64_t row = 0; row < count; row++) {
        const float* from = rows + row * bins + left;
        double sum[4] = { 0, 0, 0, 0 };
        int64_t k = 0, at = row;
        for (; k + 4 <= width; k += 4)
            for (int lane = 0; lane < 4; lane++)
                sum[lane] += from[k + lane];
        for (; k < width; k++)
            sum[0] += from[k];
        const double mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (double)width - 1;
        total += mean;
        for (; at > 0 && ordered[at - 1] > mean; at--)
            ordered[at] = ordered[at - 1];
        ordered[at] = mean;
    }
    const double middle = count > 3 ? (ordered[(count - 1) / 2] + ordered[count / 2]) / 2 : ordered[0];
    return middle > least * (total / (double)count);
}

/* Paint stripes of rows that last, and overlap none that stands out much more, each with its excess.
 *
 * rows: [_, bins]; stripes: [count, 4]: first row, number of rows, at most 64, first bin, width; excess: [count];
 * alike: share of what it overlaps at which a stripe counts; least: share of its mean power in its middle row;
 * places: [bins], column of tops of each bin; tops: [_, columns].
 */
void amrq_paint_lasting(const float* rows, int64_t bins, const int32_t* stripes, const double* excess, int64_t count,
                        double alike, double least, const int64_t* places, float* tops, int64_t columns)
{
    for (int64_t k = 0; k < count; k++) {
        const int64_t first = stripes[4 * k], number = stripes[4 * k + 1], left = stripes[4 * k + 2];
        const int64_t width = stripes[4 * k + 3];
        float* part = tops + first * columns + places[left];
        float top = 0;
        for (int64_t row = 0; row < number; row++) {
            const float found = largest(part + row * columns, width);
            top = found > top ? found : top;
        }
        if (!(top * alike <= excess[k]) || !lasts(rows + first * bins, bins, number, left, width, least))
            continue;
        const float value = (float)excess[k];
        for (int64_t row = 0; row < number; row++)
            for (int64_t bin = 0; bin < width; bin++)
                if (part[row * columns + bin] < value)
                    part[row * columns + bin] = value;
    }
}

/* Mean of the lower half, (count + 1) / 2, of each column of [count, bins]. Columns are sorted, many at a time, by
 * Batcher's network (odd-even merge sort). count: at most 64. */
WIDE void amrq_lower_means(const float* values, int64_t count, int64_t bins, float* out)
{
    float sorted[64][LANES];
    uint8_t pairs[1024][2]; /* 543 for 64 rows */
    int64_t compared = 0;
    const int64_t half = (count + 1) / 2;
    for (int64_t p = 1; p < count; p *= 2)
        for (int64_t k = p; k >= 1; k /= 2)
            for (int64_t j = k % p; j + k < count; j += 2 * k)
                for (int64_t i = j; i < j + k && i + k < count; i++)
                    if (i / (2 * p) == (i + k) / (2 * p)) {
                        pairs[compared][0] = (uint8_t)i;
                        pairs[compared++][1] = (uint8_t)(i + k);
                    }
    memset(sorted, 0, sizeof sorted);
    for (int64_t first = 0; first < bins; first += LANES) {
        const int64_t lanes = bins - first < LANES ? bins - first : LANES;
        for (int64_t row = 0; row < count; row++)
            memcpy(sorted[row], values + row * bins + first, sizeof(float) * (size_t)lanes);
        for (int64_t pair = 0; pair < compared; pair++) {
            float *restrict low = sorted[pairs[pair][0]], *restrict high = sorted[pairs[pair][1]];
            for (int lane = 0; lane < LANES; lane++) {
                const float a = low[lane], b = high[lane];
                low[lane] = a < b ? a : b;
                high[lane] = a < b ? b : a;
            }
        }
        float sum[LANES] = { 0 };
        for (int64_t row = 0; row < half; row++)
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] += sorted[row][lane];
        for (int64_t lane = 0; lane < lanes; lane++)
            out[first + lane] = sum[lane] / (float)half;
    }
}

/* Sums of stripes of 1, 2, 3, 4, 6, 8, 12 ... bins, a quarter of their width apart, each of two half as wide. */
WIDE static float stripe_sums(const float* restrict half, const float* restrict row, int64_t width, int64_t number,
                              float* restrict to)
{
    float top = -FLT_MAX;
    /* Halves lie as near to each other as stripes up to 6 bins do, and twice as near from there on. */
    const int64_t step = width < 8 ? 1 : 2, apart = width < 8 ? width / 2 : 4;
    if (width == 1)
        memcpy(to, row, sizeof *to * (size_t)number);
    else if (width == 3)
        for (int64_t k = 0; k < number; k++)
            to[k] = half[k] + row[k + 2];
    else if (step == 1)
        for (int64_t k = 0; k < number; k++)
            to[k] = half[k] + half[k + apart];
    else if (width < 16)
        for (int64_t k = 0; k < number; k++)
            to[k] = half[width / 4 * k] + half[width / 4 * k + width / 2];
    else
        for (int64_t k = 0; k < number; k++)
            to[k] = half[2 * k] + half[2 * k + 4];
    for (int64_t k = 0; k < number; k++)
        top = to[k] > top ? to[k] : top;
    return top;
}

/* Compare the sums of a row over stripes of some widths, a quarter of their width apart, with thresholds.
 *
 * row: [bins]; widths: [count], 1, 2, 3, 4, 6, 8, 12 ... without a gap, at most bins; thresholds: [count];
 * room: [4 bins]; tops: [count], the largest sum of each width; places: [most, 2], number of the width and first bin;
 * sums: [most]. Returns how many were found, which may be more than find room.
 */
int64_t amrq_stripes(const float* row, int64_t bins, const int32_t* widths, const double* thresholds, int64_t count,
                         float* room, double* tops, int32_t* places, double* sums, int64_t most)
{
    int64_t found = 0;
    for (int64_t one = 0; one < count; one++) {
        /* The width before the last is half of this one; of 2 and 3 it is the last one or that before. */
        const int64_t width = widths[one], step = width < 4 ? 1 : width / 4, number = (bins - width) / step + 1;
        const float* half = room + (width == 2 ? one - 1 : one - 2 + (width == 3)) % 4 * bins;
        float* to = room + one % 4 * bins;
        tops[one] = stripe_sums(half, row, width, number, to);
        const float threshold = (float)thresholds[one];
        if (!(tops[one] > threshold))
            continue;
        for (int64_t k = 0; k < number; k++) {
            if (!(to[k] > threshold))
                continue;
            if (found < most) {
                places[2 * found] = (int32_t)one;
                places[2 * found + 1] = (int32_t)(k * step);
                sums[found] = to[k];
            }
            found++;
        }
    }
    return found;
}

/* Means of pieces of each row, in which no value counts for more than cap. out: [rows, bins / wide]. */
WIDE void amrq_capped_means(const float* values, int64_t rows, int64_t bins, int64_t wide, float cap, float* out)
{
    const int64_t pieces = bins / wide;
    for (int64_t piece = 0; piece < rows * pieces; piece++) {
        const float* from = values + piece / pieces * bins + piece % pieces * wide;
        float sum[LANES] = { 0 };
        int64_t k = 0;
        for (; k + LANES <= wide; k += LANES)
            for (int lane = 0; lane < LANES; lane++)
                sum[lane] += from[k + lane] < cap ? from[k + lane] : cap;
        for (; k < wide; k++)
            sum[0] += from[k] < cap ? from[k] : cap;
        for (int lane = 1; lane < LANES; lane++)
            sum[0] += sum[lane];
        out[piece] = sum[0] / (float)wide;
    }
}
