/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A constellation fitted to symbols: what amrq.receive.equaliser computes with NumPy. tests/test_native_fits.py holds one
 * against the other.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "columns.h"
#include "wide.h"

#define INLINE __attribute__((always_inline)) static inline
#define STRETCH 64
#define BLOCKS (STRETCH / LANES)
#define MOST_POINTS 1024
#define MOST_PHASES 16
#define PI 3.14159265358979323846

typedef int32_t bits __attribute__((vector_size(4 * LANES)));

/* exp(x) for x of at most 0, to some 1e-7 of it; that of -87 below. */
INLINE void exponential(const lanes* x, lanes* to)
{
    const bits low = *x < -87.0f;
    const lanes held = (lanes)(((bits)*x & ~low) | ((bits)((lanes){ 0 } - 87.0f) & low));
    const lanes k = (held * 1.44269504f + 12582912.0f) - 12582912.0f; /* the nearest integer */
    const lanes r = (held - k * 0.693359375f) + k * 2.12194440e-4f;
    const lanes series = 1.0f + r * (1.0f + r * (0.5f + r * (0.166666667f + r * (4.16666667e-2f + r * (8.33333333e-3f
                         + r * 1.38888889e-3f)))));
    *to = series * (lanes)((__builtin_convertvector(k, bits) + 127) << 23);
}

INLINE void keep_larger(const lanes* value, lanes* best)
{
    const bits larger = *value > *best;
    *best = (lanes)(((bits)*value & larger) | ((bits)*best & ~larger));
}

/* Sums over a stretch of how near the nearest of some points is: 2 Re(r p*) - |p|^2. */
INLINE double nearness(const lanes* re, const lanes* im, const float* points, const float* square, int64_t order,
                       double turn_re, double turn_im)
{
    lanes best[BLOCKS];
    for (int k = 0; k < BLOCKS; k++)
        best[k] = (lanes){ 0 } - 3e38f;
    for (int64_t o = 0; o < order; o++) {
        const float x = (float)(2 * (turn_re * points[2 * o] - turn_im * points[2 * o + 1]));
        const float y = (float)(2 * (turn_re * points[2 * o + 1] + turn_im * points[2 * o]));
        for (int k = 0; k < BLOCKS; k++) {
            const lanes here = re[k] * x + im[k] * y - square[o];
            keep_larger(&here, best + k);
        }
    }
    double sum = 0;
    for (int k = 0; k < BLOCKS; k++)
        for (int n = 0; n < LANES; n++)
            sum += best[k][n];
    return sum;
}

/* What one stretch says in a round; the sums over all of them. */
struct round {
    double likelihood, power, explained;
};

/* Fit a constellation to symbols of unit power and steady phase.
 *
 * symbols: complex [count], a multiple of 64; points: complex [order], at most 1,024; symmetry: turns of a circle over
 * this leave the points as they are; phases: tried in such a sector, at most 16; rounds: of fitting phase, level and
 * noise; least: noise; decisions: complex [count]; fit: [2], the mean log-likelihood and the noise of the last round.
 */
WIDE void amrq_fit_points(const float* symbols, int64_t count, const float* points, int64_t order, int64_t symmetry,
                          int64_t phases, int64_t rounds, double least, float* decisions, double* fit)
{
    lanes re[BLOCKS], im[BLOCKS];
    float square[MOST_POINTS], scaled_re[MOST_POINTS], scaled_im[MOST_POINTS], scaled_square[MOST_POINTS];
    const int64_t stretches = count / STRETCH;
    for (int64_t o = 0; o < order; o++)
        square[o] = points[2 * o] * points[2 * o] + points[2 * o + 1] * points[2 * o + 1];
    double matched = 0;
    /* The phase of each stretch is kept in the decisions until there are some. */
    for (int64_t stretch = 0; stretch < stretches; stretch++) {
        for (int n = 0; n < STRETCH; n++) {
            re[n / LANES][n % LANES] = symbols[2 * (STRETCH * stretch + n)];
            im[n / LANES][n % LANES] = symbols[2 * (STRETCH * stretch + n) + 1];
        }
        double top = 0;
        int64_t which = 0;
        for (int64_t phase = 0; phase < phases; phase++) {
            const double angle = (double)phase * (2 * PI / (double)(symmetry * phases));
            const double found = nearness(re, im, points, square, order, cos(angle), sin(angle));
            which = !phase || found > top ? phase : which;
            top = !phase || found > top ? found : top;
        }
        matched += top;
        const double phase = (double)which * (2 * PI / (double)(symmetry * phases));
        memcpy(decisions + 2 * STRETCH * stretch, &phase, sizeof phase);
    }
    double level = 1, noise = 1 - matched / (double)count;
    noise = noise > least ? noise : least;
    for (int64_t number = 0; number < rounds; number++) {
        struct round all = { 0, 0, 0 };
        for (int64_t o = 0; o < order; o++) {
            const float by = (float)(2 * level / noise);
            scaled_re[o] = points[2 * o] * by;
            scaled_im[o] = points[2 * o + 1] * by;
            scaled_square[o] = (float)(level * level / noise) * square[o];
        }
        for (int64_t stretch = 0; stretch < stretches; stretch++) {
            const float* from = symbols + 2 * STRETCH * stretch;
            float* to = decisions + 2 * STRETCH * stretch;
            double phase;
            memcpy(&phase, to, sizeof phase);
            const float c = (float)cos(phase), s = (float)sin(phase);
            double matched_re = 0, matched_im = 0;
            for (int k = 0; k < BLOCKS; k++) {
                lanes x, y;
                for (int n = 0; n < LANES; n++) {
                    x[n] = from[2 * (LANES * k + n)];
                    y[n] = from[2 * (LANES * k + n) + 1];
                }
                const lanes upright_re = x * c + y * s, upright_im = y * c - x * s;
                lanes largest = (lanes){ 0 } - 3e38f, total = { 0 }, power = { 0 };
                for (int64_t o = 0; o < order; o++) {
                    const lanes here = upright_re * scaled_re[o] + upright_im * scaled_im[o] - scaled_square[o];
                    keep_larger(&here, &largest);
                }
                x = y = total;
                for (int64_t o = 0; o < order; o++) {
                    const lanes here = upright_re * scaled_re[o] + upright_im * scaled_im[o] - scaled_square[o];
                    const lanes below = here - largest;
                    lanes weight;
                    exponential(&below, &weight);
                    total += weight;
                    x += weight * points[2 * o];
                    y += weight * points[2 * o + 1];
                    power += weight * square[o];
                }
                x /= total;
                y /= total;
                power /= total;
                double product = 1; /* of numbers from 1 to 1,024 */
                const lanes along = upright_re * x + upright_im * y, across = upright_im * x - upright_re * y;
                for (int n = 0; n < LANES; n++) {
                    product *= total[n];
                    all.power += power[n];
                    all.likelihood += largest[n];
                    matched_re += along[n];
                    matched_im += across[n];
                }
                all.likelihood += log(product);
                re[k] = x;
                im[k] = y;
            }
            all.explained += hypot(matched_re, matched_im);
            if (number + 1 == rounds)
                for (int n = 0; n < STRETCH; n++) {
                    const float x = re[n / LANES][n % LANES], y = im[n / LANES][n % LANES];
                    to[2 * n] = x * c - y * s;
                    to[2 * n + 1] = y * c + x * s;
                }
            else {
                phase += atan2(matched_im, matched_re);
                memcpy(to, &phase, sizeof phase);
            }
        }
        fit[0] = all.likelihood / (double)count - 1 / noise - log((double)order * PI * noise);
        fit[1] = noise;
        level = all.explained / (all.power > 1e-20 ? all.power : 1e-20);
        noise = 1 - level * all.explained / (double)count;
        noise = noise > least ? noise : least;
    }
}
