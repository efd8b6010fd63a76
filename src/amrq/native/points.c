/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The score test of a constellation's points: what amrq.decision.point_fit and point_scores compute with NumPy.
 * tests/test_native_points.py holds one against the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define SCORES 16  /* derivatives; after them, in a table's row, the logarithm of the density */
#define ROW (SCORES + 1)
#define FITTED 3
#define CHUNKS 64
#define WIDTHS 3
#define TURN 6.283185307179586

typedef float row __attribute__((vector_size(4 * SCORES)));
typedef float loose_row __attribute__((vector_size(4 * SCORES), aligned(4), may_alias));

/* z^order of a unit z, order at least 1, by squaring. */
INLINE void power(float x, float y, int order, float* re, float* im)
{
    float a = 1, b = 0;
    for (int left = order;; ) {
        if (left & 1) {
            const float c = a * x - b * y;
            b = a * y + b * x;
            a = c;
        }
        left >>= 1;
        if (!left)
            break;
        const float c = x * x - y * y;
        y = 2 * (x * y);
        x = c;
    }
    *re = a;
    *im = b;
}

/* Powers of symbols' phases, weighted by their squares, up to 1.5^2: complex [count, symbols]; returns the sum of the
 * squares of the weights. */
WIDE double amrq_point_powers(const float* z, int64_t symbols, const int32_t* orders, int64_t count, float* out)
{
    double energy = 0;
    for (int64_t k = 0; k < symbols; k++) {
        const float x = z[2 * k], y = z[2 * k + 1], size = sqrtf(x * x + y * y);
        const float scale = 1 / (size > 1e-12f ? size : 1e-12f), most = size < 1.5f ? size : 1.5f;
        const float weight = most * most;
        energy += (double)weight * weight;
        for (int64_t n = 0; n < count; n++) {
            float re, im;
            power(x * scale, y * scale, orders[n], &re, &im);
            out[2 * (symbols * n + k)] = re * weight;
            out[2 * (symbols * n + k) + 1] = im * weight;
        }
    }
    return energy;
}

/* The largest power of each row of complex numbers, [rows, size], and where it is. */
WIDE void amrq_point_peaks(const float* rows, int64_t count, int64_t size, float* tops, int64_t* places)
{
    for (int64_t n = 0; n < count; n++) {
        const float* from = rows + 2 * size * n;
        float top = -1;
        for (int64_t k = 0; k < size; k++) {
            const float level = from[2 * k] * from[2 * k] + from[2 * k + 1] * from[2 * k + 1];
            top = level > top ? level : top;
        }
        int64_t place = 0;
        while (place < size - 1 && from[2 * place] * from[2 * place] + from[2 * place + 1] * from[2 * place + 1] != top)
            place++;
        tops[n] = top;
        places[n] = place;
    }
}

/* The power in which a class has a line, of each symbol, times a complex weight by its radius, [radii], `scale` to a
 * unit; returns the sum of the weights' squares. */
WIDE double amrq_point_line(const float* z, int64_t symbols, int64_t order, const float* weights, int64_t radii,
                            float scale, float* line)
{
    double noise = 0;
    for (int64_t k = 0; k < symbols; k++) {
        const float x = z[2 * k], y = z[2 * k + 1], size = sqrtf(x * x + y * y);
        const float least = size > 1e-12f ? size : 1e-12f;
        const float radius = size * scale + 0.5f;
        const int64_t place = radius < (float)(radii - 1) ? (int64_t)radius : radii - 1;
        const float c = weights[2 * place], s = weights[2 * place + 1];
        float re, im;
        power(x / least, y / least, (int)order, &re, &im);
        line[2 * k] = c * re - s * im;
        line[2 * k + 1] = c * im + s * re;
        noise += c * c + s * s;
    }
    return noise;
}

/* What sums of chunks are averaged with: by width, over chunks, [3, count, count] each. */
struct windows {
    const float *whole, *others;
    double foretold; /* share below which the phase jumps */
};

/* Average sums [count] as amrq.decision.point_fit._smoothed does; returns how much is in the direction foretold. */
INLINE double smoothed(const double* re, const double* im, int64_t count, const struct windows* windows, int clear,
                       double* out_re, double* out_im)
{
    double found[WIDTHS], size = 0, most = -1e300;
    int best = 0;
    for (int64_t n = 0; n < count; n++)
        size += sqrt(re[n] * re[n] + im[n] * im[n]);
    for (int width = 0; width < WIDTHS; width++) {
        found[width] = 0;
        for (int64_t n = 0; n < count; n++) {
            const float* weight = windows->others + count * (count * width + n);
            double x = 0, y = 0;
            for (int64_t k = 0; k < count; k++) {
                x += weight[k] * re[k];
                y += weight[k] * im[k];
            }
            const double length = sqrt(x * x + y * y);
            found[width] += (x * re[n] + y * im[n]) / (length > 1e-20 ? length : 1e-20);
        }
        most = found[width] > most ? found[width] : most;
    }
    /* Of two chunks all widths foretell the same: the narrowest is taken. */
    while (best < WIDTHS - 1 && found[best] < most - 1e-5 * size)
        best++;
    if (clear && found[best] < windows->foretold * size) {
        memcpy(out_re, re, sizeof(double) * (size_t)count);
        memcpy(out_im, im, sizeof(double) * (size_t)count);
        return size;
    }
    for (int64_t n = 0; n < count; n++) {
        const float* weight = windows->whole + count * (count * best + n);
        double x = 0, y = 0;
        for (int64_t k = 0; k < count; k++) {
            x += weight[k] * re[k];
            y += weight[k] * im[k];
        }
        const double own = sqrt(re[n] * re[n] + im[n] * im[n]), length = sqrt(x * x + y * y);
        const int alone = clear && x * re[n] + y * im[n] < windows->foretold * length * own;
        out_re[n] = alone ? re[n] : x;
        out_im[n] = alone ? im[n] : y;
    }
    return found[best];
}

struct followed {
    double frequency, coherent;
    double phase[CHUNKS], slope[CHUNKS];
};

INLINE void follow(const float* line, int64_t count, int64_t length, double frequency, double noise,
                   const struct windows* windows, double jump, double clear_level, struct followed* found)
{
    double re[CHUNKS], im[CHUNKS], out_re[CHUNKS], out_im[CHUNKS], energy = 0;
    double turn_re = 1, turn_im = 0;
    const double step_re = cos(TURN * frequency), step_im = -sin(TURN * frequency);
    for (int64_t n = 0; n < count; n++) {
        re[n] = im[n] = 0;
        for (int64_t k = 0; k < length; k++) {
            const double x = line[2 * (length * n + k)], y = line[2 * (length * n + k) + 1];
            re[n] += x * turn_re - y * turn_im;
            im[n] += x * turn_im + y * turn_re;
            const double next = turn_re * step_re - turn_im * step_im;
            turn_im = turn_re * step_im + turn_im * step_re;
            turn_re = next;
        }
        energy += re[n] * re[n] + im[n] * im[n];
    }
    /* The spectrum's peak, in 8 bins a chunk. */
    const int64_t bins = 8 * count;
    double roots_re[8 * CHUNKS], roots_im[8 * CHUNKS], top = -1;
    for (int64_t k = 0; k < bins; k++) {
        roots_re[k] = cos(TURN * (double)k / (double)bins);
        roots_im[k] = -sin(TURN * (double)k / (double)bins);
    }
    int64_t steady = 0;
    for (int64_t bin = 0; bin < bins; bin++) {
        double x = 0, y = 0;
        for (int64_t n = 0, at = 0; n < count; n++) {
            x += re[n] * roots_re[at] - im[n] * roots_im[at];
            y += re[n] * roots_im[at] + im[n] * roots_re[at];
            at += bin;
            at -= at >= bins ? bins : 0;
        }
        if (x * x + y * y > top * (1 + 1e-12)) {
            top = x * x + y * y;
            steady = bin;
        }
    }
    for (int64_t n = 0; n < count; n++) {
        const double c = roots_re[steady * n % bins], s = roots_im[steady * n % bins], x = re[n];
        re[n] = x * c - im[n] * s;
        im[n] = x * s + im[n] * c;
    }
    found->frequency = frequency;
    found->coherent = smoothed(re, im, count, windows, energy > clear_level * noise, out_re, out_im);
    double turns = 0, before = 0;
    for (int64_t n = 0; n < count; n++) {
        const double c = roots_re[steady * n % bins], s = -roots_im[steady * n % bins];
        const double angle = atan2(out_re[n] * s + out_im[n] * c, out_re[n] * c - out_im[n] * s);
        if (n)
            turns += rint((angle - before) / TURN);
        before = angle;
        found->phase[n] = angle - TURN * turns;
    }
    for (int64_t n = 0; n < count; n++) {
        found->slope[n] = 0;
        if (count < 3)
            continue;
        /* Of the steps before and after a chunk, where there are none those of the next ones, the smaller. */
        const int64_t first = n ? n : 2, second = n < count - 1 ? n + 1 : count - 2;
        const double left = found->phase[first] - found->phase[first - 1];
        const double right = found->phase[second] - found->phase[second - 1];
        const double smaller = fabs(left) < fabs(right) ? left : right;
        found->slope[n] = fabs(smaller) < jump ? smaller : 0;
    }
}

/* Turn chunks [count, length] upright by a line of theirs; returns the line's coherent sum.
 *
 * numbers: the line's frequency, cycles a symbol; the sum of its power; its order; the coherent sum below which a line at
 * 0 is tried; the step of the phase that is a jump; power over noise from which a chunk shows its phase; share foretold.
 */
WIDE double amrq_point_align(const float* line, const float* z, int64_t count, int64_t length, const double* numbers,
                             const float* whole, const float* others, float* out)
{
    const struct windows windows = { whole, others, numbers[6] };
    struct followed found, other;
    follow(line, count, length, numbers[0], numbers[1], &windows, numbers[4], numbers[5], &found);
    if (found.coherent < numbers[3]) {
        follow(line, count, length, 0, numbers[1], &windows, numbers[4], numbers[5], &other);
        if (other.coherent > found.coherent)
            found = other;
    }
    for (int64_t n = 0; n < count; n++) {
        /* By steps from the chunk's middle on. */
        const double slope = TURN * found.frequency + found.slope[n] / (double)length;
        const double begin = TURN * found.frequency * (double)(n * length) + found.phase[n]
                             - found.slope[n] / (double)length * ((double)length - 1) / 2;
        double c = cos(begin / numbers[2]), s = -sin(begin / numbers[2]);
        const double step_c = cos(slope / numbers[2]), step_s = -sin(slope / numbers[2]);
        for (int64_t k = length * n; k < length * (n + 1); k++) {
            const double x = z[2 * k], y = z[2 * k + 1];
            out[2 * k] = (float)(x * c - y * s);
            out[2 * k + 1] = (float)(x * s + y * c);
            const double next = c * step_c - s * step_s;
            s = c * step_s + s * step_c;
            c = next;
        }
    }
    return found.coherent;
}

/* A table of cells of the plane. */
struct table {
    const float *points, *scores; /* [cells, 2], [cells, 17] */
    float reach, per_unit;
    int64_t side;
};

INLINE int64_t cell(float x, float y, const struct table* table)
{
    const float most = (float)(table->side - 1);
    const float a = (x + table->reach) * table->per_unit, b = (y + table->reach) * table->per_unit;
    const int64_t i = (int64_t)(a < 0 ? 0 : a > most ? most : a), j = (int64_t)(b < 0 ? 0 : b > most ? most : b);
    return table->side * i + j;
}

/* Turn chunks [count, length] upright by the points of a table, and read what it says of them.
 *
 * place: reach, cells a unit; side: of the table; smooth: whether phases are averaged over chunks, with windows as above;
 * z: what comes out; expected: the point that each symbol probably is; mean: of the table's columns, [17]; products:
 * mean products of the first 16, [16, 16].
 */
WIDE void amrq_point_scores(const float* given, int64_t count, int64_t length, const float* points, const float* scores,
                            const double* place, int64_t side, int64_t smooth, const float* whole, const float* others,
                            float* z, float* expected, double* mean, double* products)
{
    const struct table table = { points, scores, (float)place[0], (float)place[1], side };
    const struct windows windows = { whole, others, place[2] };
    double re[CHUNKS], im[CHUNKS], out_re[CHUNKS], out_im[CHUNKS], sums[ROW] = { 0 };
    for (int64_t n = 0; n < count; n++) {
        re[n] = im[n] = 0;
        for (int64_t k = length * n; k < length * (n + 1); k++) {
            const float x = given[2 * k], y = given[2 * k + 1];
            const float* point = points + 2 * cell(x, y, &table);
            re[n] += x * point[0] + y * point[1];
            im[n] += y * point[0] - x * point[1];
        }
        out_re[n] = re[n];
        out_im[n] = im[n];
    }
    if (smooth)
        smoothed(re, im, count, &windows, 1, out_re, out_im);
    row total[SCORES];
    memset(total, 0, sizeof total);
    for (int64_t n = 0; n < count; n++) {
        const double size = sqrt(out_re[n] * out_re[n] + out_im[n] * out_im[n]);
        const float c = size > 0 ? (float)(out_re[n] / size) : 1, s = size > 0 ? (float)(-out_im[n] / size) : 0;
        for (int64_t k = length * n; k < length * (n + 1); k++) {
            const float x = given[2 * k] * c - given[2 * k + 1] * s, y = given[2 * k] * s + given[2 * k + 1] * c;
            const int64_t at = cell(x, y, &table);
            const float* from = scores + ROW * at;
            z[2 * k] = x;
            z[2 * k + 1] = y;
            expected[2 * k] = points[2 * at];
            expected[2 * k + 1] = points[2 * at + 1];
            const row values = *(const loose_row*)from;
            for (int one = 0; one < SCORES; one++)
                total[one] += from[one] * values;
            for (int one = 0; one < ROW; one++)
                sums[one] += from[one];
        }
    }
    const double symbols = (double)(count * length);
    for (int one = 0; one < ROW; one++)
        mean[one] = sums[one] / symbols;
    for (int one = 0; one < SCORES; one++)
        for (int other = 0; other < SCORES; other++)
            products[SCORES * one + other] = (double)((const float*)&total[one])[other] / symbols;
}

/* Solve a x = b for `columns` right-hand sides by elimination with pivots; a: [size, 16], b: [size, 16], overwritten. */
INLINE int solved(double a[SCORES][SCORES], double b[SCORES][SCORES], int size, int columns)
{
    for (int at = 0; at < size; at++) {
        int pivot = at;
        for (int one = at + 1; one < size; one++)
            pivot = fabs(a[one][at]) > fabs(a[pivot][at]) ? one : pivot;
        if (fabs(a[pivot][at]) < 1e-300)
            return 0;
        for (int k = 0; k < SCORES; k++) {
            const double x = a[at][k], y = b[at][k];
            a[at][k] = a[pivot][k];
            a[pivot][k] = x;
            b[at][k] = b[pivot][k];
            b[pivot][k] = y;
        }
        for (int one = at + 1; one < size; one++) {
            const double factor = a[one][at] / a[at][at];
            for (int k = at; k < size; k++)
                a[one][k] -= factor * a[at][k];
            for (int k = 0; k < columns; k++)
                b[one][k] -= factor * b[at][k];
        }
    }
    for (int at = size - 1; at >= 0; at--)
        for (int k = 0; k < columns; k++) {
            for (int one = at + 1; one < size; one++)
                b[at][k] -= a[at][one] * b[one][k];
            b[at][k] /= a[at][at];
        }
    return 1;
}

/* The score test's statistic; see amrq.decision.point_scores.misfit.
 *
 * mean: [16]; information: [16, 16]; left_out: [16], not 0 where a derivative is no sign of a misfit; limits: the share of
 * variance that must be left, and what is added to correlations of 1. Returns the degrees of freedom; -1: no solution.
 */
int64_t amrq_point_misfit(const double* mean, const double* information, double symbols, const uint8_t* left_out,
                          const double* limits, double* statistic)
{
    int fitted[SCORES], tested[SCORES], inner = 0, outer = 0;
    *statistic = 0;
    for (int one = 0; one < SCORES; one++) {
        const int varies = information[ROW * one] > 1e-9;
        if (varies && (one < FITTED || left_out[one]))
            fitted[inner++] = one;
        else if (one >= FITTED)
            tested[outer++] = one;
    }
    double a[SCORES][SCORES] = { { 0 } }, share[SCORES][SCORES] = { { 0 } };
    for (int i = 0; i < inner; i++) {
        for (int j = 0; j < inner; j++)
            a[i][j] = information[SCORES * fitted[i] + fitted[j]];
        a[i][i] *= 1 + 1e-9;
        for (int j = 0; j < outer; j++)
            share[i][j] = information[SCORES * fitted[i] + tested[j]];
    }
    if (!solved(a, share, inner, outer))
        return -1;
    double left[SCORES], spread[SCORES][SCORES], deviation[SCORES];
    int kept[SCORES], count = 0;
    for (int j = 0; j < outer; j++) {
        left[j] = mean[tested[j]];
        for (int i = 0; i < inner; i++)
            left[j] -= mean[fitted[i]] * share[i][j];
        for (int k = 0; k < outer; k++) {
            spread[j][k] = information[SCORES * tested[j] + tested[k]];
            for (int i = 0; i < inner; i++)
                spread[j][k] -= information[SCORES * fitted[i] + tested[j]] * share[i][k];
        }
        const double before = information[ROW * tested[j]];
        if (spread[j][j] > limits[0] * before && before > 1e-9)
            kept[count++] = j;
    }
    double b[SCORES][SCORES] = { { 0 } }, scaled[SCORES];
    memset(a, 0, sizeof a);
    for (int j = 0; j < count; j++)
        deviation[j] = sqrt(spread[kept[j]][kept[j]]);
    for (int j = 0; j < count; j++) {
        scaled[j] = b[j][0] = left[kept[j]] / deviation[j];
        for (int k = 0; k < count; k++)
            a[j][k] = spread[kept[j]][kept[k]] / (deviation[j] * deviation[k]);
        a[j][j] += limits[1];
    }
    if (!solved(a, b, count, 1))
        return -1;
    for (int j = 0; j < count; j++)
        *statistic += symbols * scaled[j] * b[j][0];
    return count;
}
