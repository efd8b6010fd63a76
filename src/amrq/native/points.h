/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the test of a constellation's points is given: amrq.native.point_kernels has the same records.
 *
 * Symbols are kept as their real parts and, after them, their imaginary parts: all steps are those of single numbers.
 */
#ifndef AMRQ_POINTS_H
#define AMRQ_POINTS_H

#include <stdint.h>

#define INLINE __attribute__((always_inline)) static inline
#define SCORES 16  /* derivatives; after them, in a table's row, the logarithm of the density */
#define ROW (SCORES + 1)
#define CHUNKS 64
#define LENGTH 4096  /* symbols a chunk at most */
#define LEVELS 21
#define LOWEST (-2)
#define TURN 6.283185307179586

/* A class at a level of noise: its table of cells of the plane, and what a symbol says of the phase, by radius. */
struct level {
    const float *firsts, *scores, *harmonic; /* [cells, 4]: point, two derivatives; [cells, 17]; complex [radii] */
    const double* information;               /* [16, 16] */
    double reach, per_unit, amplitude;
    int64_t side;
};

struct kind {
    int64_t symmetry, on_a_line, count;
    const int32_t* orders; /* of lines that it does not have, [count] */
    double nearest;
    struct level levels[LEVELS]; /* from LOWEST dB on; without scores: not made yet */
};

/* What depends on how many chunks there are, and how long. */
struct places {
    int64_t count, length, rows, columns; /* a spectrum has rows x columns bins, two a symbol */
    const float* roots;                   /* exp(-2 pi i k / bins), real parts, then imaginary ones */
    const float* twists;                  /* of the product of row and column, [2, rows, columns] */
    const float *whole, *others;          /* averages over chunks, by width, [3, count, count up to a multiple of 8] */
    const double* turns;                  /* exp(-2 pi i k / (8 count)), real parts, then imaginary ones */
    const float* steps;                   /* the same */
    const float* eighths;                 /* exp(-2 pi i j n / (8 count)), [2, count, 8], by n and j */
    const float* noise;                   /* real parts, then imaginary ones */
};

struct rules {
    double lost, visible, jump, clear, foretold, apart, per_radius, radii;
    double turns, largest_step, most_gain, least_kept, ridge;
};

/* What is found at the level that fits. */
struct fitted {
    double es_n0_db, error_db, log_likelihood, misfit, freedom, noisy, level;
    double strange, own, due;
    double mean[ROW], products[SCORES * SCORES];
};

/* A fit that is asked for. */
struct asked {
    const float* z; /* complex [symbols] */
    const struct kind* kind;
    const struct places* places;
    const struct rules* rules;
    float* out;     /* complex [3, symbols] */
    double* numbers;
    double* last;   /* Es/N0 at which the class fitted last, where a fit may begin, or NULL */
    double es_n0_db, rough;
};

double amrq_point_strange(const float* z, const struct kind* kind, const struct places* places, float* room);
double amrq_point_smoothed(const double* re, const double* im, const struct places* places, double foretold, int clear,
                           double* out_re, double* out_im);
void amrq_point_upright(const float* z, const struct kind* kind, const struct places* places,
                        const struct rules* rules, int64_t level, float* out, struct fitted* found, float* room);

#endif
