/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fit of a constellation's points to symbols and its score test: what amrq.decision.point_fit and point_scores
 * compute with NumPy. tests/test_native_points.py holds one against the other.
 */

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "points.h"
#include "wide.h"

#define FITTED 3
#define PHASE_NOISE 8

typedef float row __attribute__((vector_size(4 * SCORES)));
typedef float loose_row __attribute__((vector_size(4 * SCORES), aligned(4), may_alias));

/* The table's cell of each symbol; size at least 0. */
INLINE void find_cells(const float* x, const float* y, int64_t size, const struct level* level, int32_t* cells)
{
    const float most = (float)(level->side - 1), reach = (float)level->reach, per_unit = (float)level->per_unit;
    const int32_t side = (int32_t)level->side;
    for (int64_t k = 0; k < size; k++) {
        const float a = (x[k] + reach) * per_unit, b = (y[k] + reach) * per_unit;
        const int32_t i = (int32_t)(a < 0 ? 0 : a > most ? most : a), j = (int32_t)(b < 0 ? 0 : b > most ? most : b);
        cells[k] = side * i + j;
    }
}

/* What the points that are expected say of the phase of each chunk. */
WIDE void amrq_point_phases(const float* x, const float* y, const struct places* places, const struct level* level,
                            int32_t* cells, double* re, double* im)
{
    const int64_t count = places->count, length = places->length;
    find_cells(x, y, count * length, level, cells);
    for (int64_t n = 0; n < count; n++) {
        double a = 0, b = 0, c = 0, d = 0;
        int64_t k = length * n;
        for (; k + 1 < length * (n + 1); k += 2) {
            const float *point = level->firsts + 4 * cells[k], *next = level->firsts + 4 * cells[k + 1];
            a += x[k] * point[0] + y[k] * point[1];
            b += y[k] * point[0] - x[k] * point[1];
            c += x[k + 1] * next[0] + y[k + 1] * next[1];
            d += y[k + 1] * next[0] - x[k + 1] * next[1];
        }
        if (k < length * (n + 1)) {
            const float* point = level->firsts + 4 * cells[k];
            a += x[k] * point[0] + y[k] * point[1];
            b += y[k] * point[0] - x[k] * point[1];
        }
        re[n] = a + c;
        im[n] = b + d;
    }
}

/* Turn chunks back by phases, and average what the table says of noise and amplitude. */
WIDE void amrq_point_sum(float* x, float* y, const struct places* places, const struct level* level, const double* re,
                         const double* im, int32_t* cells, double* mean)
{
    const int64_t count = places->count, length = places->length;
    for (int64_t n = 0; n < count; n++) {
        const double size = sqrt(re[n] * re[n] + im[n] * im[n]);
        const float c = size > 0 ? (float)(re[n] / size) : 1, s = size > 0 ? (float)(-im[n] / size) : 0;
        float *a = x + length * n, *b = y + length * n;
        for (int64_t k = 0; k < length; k++) {
            const float p = a[k] * c - b[k] * s, q = a[k] * s + b[k] * c;
            a[k] = p;
            b[k] = q;
        }
    }
    find_cells(x, y, count * length, level, cells);
    double noise = 0, amplitude = 0;
    for (int64_t k = 0; k < count * length; k++) {
        const float* from = level->firsts + 4 * cells[k];
        noise += from[2];
        amplitude += from[3];
    }
    mean[0] = noise / (double)(count * length);
    mean[1] = amplitude / (double)(count * length);
}

/* Means of what a table says of symbols in these cells, [17], and of products of two derivatives, [16, 16]. */
WIDE void amrq_point_means(const int32_t* cells, int64_t symbols, const float* scores, double* mean, double* products)
{
    row total[SCORES];
    double sums[SCORES] = { 0 }, density = 0;
    memset(total, 0, sizeof total);
    for (int64_t k = 0; k < symbols; k++) {
        const float* from = scores + ROW * (int64_t)cells[k];
        const int64_t ahead = k + 12 < symbols ? k + 12 : k;
        __builtin_prefetch(scores + ROW * (int64_t)cells[ahead]);
        __builtin_prefetch(scores + ROW * (int64_t)cells[ahead] + SCORES);
        const row values = *(const loose_row*)from;
        for (int one = 0; one < SCORES; one++)
            total[one] += from[one] * values;
        for (int one = 0; one < SCORES; one++)
            sums[one] += from[one];
        density += from[SCORES];
    }
    mean[SCORES] = density / (double)symbols;
    for (int one = 0; one < SCORES; one++)
        mean[one] = sums[one] / (double)symbols;
    for (int one = 0; one < SCORES; one++)
        for (int other = 0; other < SCORES; other++)
            products[SCORES * one + other] = (double)((const float*)&total[one])[other] / (double)symbols;
}

/* One Newton step from a level, dB, with its deviation and what it adds to the log-likelihood. */
INLINE double newton(const double* mean, const double* information, double symbols, const struct rules* rules,
                     double* error, double* gain)
{
    const double first = information[0] * 1.001, second = information[SCORES + 1] * 1.001, both = information[1];
    const double scale = 1 / (first * second - both * both), per_db = 10 / 2.302585092994046;
    const double noise = (second * mean[0] - both * mean[1]) * scale;
    const double amplitude = (first * mean[1] - both * mean[0]) * scale;
    const double spread = (first + second + 2 * both) * scale, step = per_db * (amplitude - noise);
    *error = per_db * sqrt((spread > 0 ? spread : 0) / symbols);
    *gain = 0.5 * symbols * (mean[0] * noise + mean[1] * amplitude);
    *gain = *gain < rules->most_gain ? *gain : rules->most_gain;
    const double most = rules->largest_step;
    return step > most ? most : step < -most ? -most : step;
}

INLINE int64_t level_of(double es_n0_db)
{
    const double most = LEVELS - 1 + LOWEST, near = rint(es_n0_db);
    return (int64_t)(near < LOWEST ? LOWEST : near > most ? most : near);
}

INLINE double decibels(double ratio)
{
    return 10 * log10(ratio);
}

/* Find the noise level, and turn each chunk upright by its table; see amrq.decision.point_fit.PointTest._scored.
 *
 * z: real parts [symbols], then imaginary ones; turned. cells: [symbols], where they are at last. Returns 0, or 1 if the
 * class has no table of the level in `found`.
 */
static int fit_level(float* z, const struct kind* kind, const struct places* places, const struct rules* rules,
                     int64_t level, int add_noise, int32_t* cells, struct fitted* found)
{
    const int64_t symbols = places->count * places->length, most = LEVELS - 1 + LOWEST;
    double re[CHUNKS], im[CHUNKS], out_re[CHUNKS], out_im[CHUNKS], quiet = 0, step, gain;
    uint32_t tried = 0;
    int seen = 0;
    found->noisy = 0;
    for (;;) {
        const struct level* table = &kind->levels[level - LOWEST];
        found->level = (double)level;
        if (!table->scores)
            return 1;
        amrq_point_phases(z, z + symbols, places, table, cells, re, im);
        const double amplitude = table->amplitude * table->amplitude;
        if (kind->nearest < rules->apart * sqrt((1 - amplitude) / amplitude)) {
            amrq_point_smoothed(re, im, places, rules->foretold, 1, out_re, out_im);
            memcpy(re, out_re, sizeof re);
            memcpy(im, out_im, sizeof im);
        }
        amrq_point_sum(z, z + symbols, places, table, re, im, cells, found->mean);
        step = newton(found->mean, table->information, (double)symbols, rules, &found->error_db, &gain);
        if (level == most && step > 0 && !found->noisy) {
            /* Points are told apart: the noise power is the mean squared distance. */
            const double left = 1 + found->mean[0];
            quiet = (double)level - decibels(left > 1e-4 ? left : 1e-4);
            if (!add_noise)
                break;
            const double power = (found->mean[0] < 0 ? -found->mean[0] : 0) / (1 + pow(10, (double)level / 10));
            const float scale = (float)sqrt(power);
            for (int64_t k = 0; k < 2 * symbols; k++)
                z[k] += scale * places->noise[k];
            found->noisy = 1;
            continue;
        }
        tried |= 1u << (level - LOWEST);
        const int64_t following = level_of((double)level + step);
        if (++seen == (int)rules->turns || tried >> (following - LOWEST) & 1)
            break;
        level = following;
    }
    found->es_n0_db = quiet != 0 && level == most ? quiet : (double)level + step;
    found->log_likelihood = gain; /* and the density, which `describe` adds */
    return 0;
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

/* Read all that the table says of symbols at the level that fits. */
static void describe(const int32_t* cells, const struct kind* kind, int64_t symbols, struct fitted* found)
{
    const struct level* table = &kind->levels[(int)found->level - LOWEST];
    amrq_point_means(cells, symbols, table->scores, found->mean, found->products);
    found->log_likelihood += found->mean[SCORES] * (double)symbols;
}

/* What a fit says of symbols that nothing was taken away from; returns 0, or 2 where equations have no solution. */
static int test_points(struct fitted* found, const struct kind* kind, const struct rules* rules, int64_t symbols)
{
    const double* information = kind->levels[(int)found->level - LOWEST].information;
    double both[SCORES * SCORES];
    for (int one = 0; one < SCORES; one++)
        for (int other = 0; other < SCORES; other++) {
            const int at = SCORES * one + other;
            both[at] = (information[at] + (found->products[at] - found->mean[one] * found->mean[other])) / 2;
        }
    uint8_t left_out[SCORES] = { 0 };
    left_out[PHASE_NOISE] = !kind->on_a_line || found->mean[PHASE_NOISE] < 0;
    const double limits[2] = { rules->least_kept, rules->ridge };
    found->freedom = (double)amrq_point_misfit(found->mean, both, (double)symbols, left_out, limits, &found->misfit);
    return found->freedom < 0 ? 2 : 0;
}

INLINE void apart(const float* z, int64_t symbols, float scale, float* restrict out)
{
    for (int64_t k = 0; k < symbols; k++) {
        out[k] = z[2 * k] * scale;
        out[symbols + k] = z[2 * k + 1] * scale;
    }
}

/* Symbols of unit power, real parts and then imaginary ones. */
WIDE void amrq_point_unit(const float* z, int64_t symbols, float* out)
{
    double powers[8] = { 0 }, power = 0;
    int64_t k = 0;
    for (; k + 8 <= 2 * symbols; k += 8)
        for (int j = 0; j < 8; j++)
            powers[j] += (double)(z[k + j] * z[k + j]);
    for (; k < 2 * symbols; k++)
        power += (double)(z[k] * z[k]);
    for (int j = 0; j < 8; j++)
        power += powers[j];
    const double size = sqrt(power / (double)symbols);
    apart(z, symbols, (float)(1 / (size > 1e-30 ? size : 1e-30)), out);
}

INLINE void together(const float* z, int64_t symbols, float* restrict out)
{
    for (int64_t k = 0; k < symbols; k++) {
        out[2 * k] = z[k];
        out[2 * k + 1] = z[symbols + k];
    }
}

/* Fit a class to chunks; see amrq.decision.PointTest.fit.
 *
 * z: complex [symbols]; es_n0_db: to begin with, finite; rough: by how many dB the fit may be off it, otherwise it is
 * made again from what was found. out: [3 symbols], of unit power; without the carrier's phase; turned by
 * the points, at the level that fits; room: [17 symbols]. Returns 0; 1 if the class lacks the level in `found`; 2 where
 * equations have no solution.
 */
static int fit_points(const float* z, const struct kind* kind, const struct places* places, const struct rules* rules,
                      double es_n0_db, double rough, float* out, float* room, struct fitted* found)
{
    const int64_t symbols = places->count * places->length;
    float *unit = room, *turned = room + 2 * symbols, *more = room + 4 * symbols;
    int32_t* cells = (int32_t*)(room + 16 * symbols);
    amrq_point_unit(z, symbols, unit);
    found->strange = kind->count ? amrq_point_strange(unit, kind, places, more) : 0;
    for (int again = 0; again < 2; again++) {
        const int64_t level = level_of(es_n0_db);
        found->level = (double)level;
        if (!kind->levels[level - LOWEST].scores)
            return 1;
        amrq_point_upright(unit, kind, places, rules, level, turned, found, more);
        /* As they are before the points turn them. */
        together(turned, symbols, out + 2 * symbols);
        if (fit_level(turned, kind, places, rules, level, 1, cells, found))
            return 1;
        /* From the same level the same would be found. */
        if (fabs(found->es_n0_db - es_n0_db) <= rough || level_of(found->es_n0_db) == level)
            break;
        es_n0_db = found->es_n0_db;
    }
    describe(cells, kind, symbols, found);
    together(unit, symbols, out);
    together(turned, symbols, out + 4 * symbols);
    return test_points(found, kind, rules, symbols);
}

/* Fit a class to chunks of each of `count` decisions; see amrq.decision.point_fit.fit_together.
 *
 * Returns how many were done: fewer than `count` where a class lacks the level that is then among the numbers of the next
 * one. numbers: what was found, before the derivatives; the freedom is below 0 where equations have no solution.
 */
int64_t amrq_point_fits(const struct asked* asked, int64_t count, double same)
{
    int64_t most = 0, done = 0;
    for (int64_t n = 0; n < count; n++) {
        const int64_t symbols = asked[n].places->count * asked[n].places->length;
        most = symbols > most ? symbols : most;
    }
    float* room = malloc(sizeof(float) * 17 * (size_t)most);
    if (!room)
        return -1;
    for (; done < count; done++) {
        const struct asked* one = asked + done;
        struct fitted found;
        memset(&found, 0, offsetof(struct fitted, mean));
        const double begin = one->last && fabs(*one->last - one->es_n0_db) < same ? *one->last : one->es_n0_db;
        const int state = fit_points(one->z, one->kind, one->places, one->rules, begin, one->rough, one->out, room, &found);
        if (state == 2)
            found.freedom = -1;
        memcpy(one->numbers, &found, offsetof(struct fitted, mean));
        if (state == 1)
            break;
        if (one->last && state == 0)
            *one->last = found.es_n0_db;
    }
    free(room);
    return done;
}

/* Find the noise level of symbols; see amrq.decision.PointTest._scored.
 *
 * z: complex [symbols], turned; expected: the point that each of them probably is; room: [3 symbols]. Returns as above.
 */
int amrq_point_level(float* z, const struct kind* kind, const struct places* places, const struct rules* rules,
                     double es_n0_db, int add_noise, float* expected, float* room, struct fitted* found)
{
    const int64_t symbols = places->count * places->length;
    int32_t* cells = (int32_t*)(room + 2 * symbols);
    apart(z, symbols, 1, room);
    if (fit_level(room, kind, places, rules, level_of(es_n0_db), add_noise, cells, found))
        return 1;
    const struct level* table = &kind->levels[(int)found->level - LOWEST];
    for (int64_t k = 0; k < symbols; k++) {
        expected[2 * k] = table->firsts[4 * cells[k]];
        expected[2 * k + 1] = table->firsts[4 * cells[k] + 1];
    }
    describe(cells, kind, symbols, found);
    together(room, symbols, z);
    return 0;
}
