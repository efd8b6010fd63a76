/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * WIDE: a function is compiled for the plainest processor and, on x86 with GCC, for AVX2 and AVX-512 as well; which one
 * runs is chosen when the library is loaded, by what the processor can do. AMRQ_PLAIN leaves all but the plainest out.
 */
#ifndef AMRQ_WIDE_H
#define AMRQ_WIDE_H

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(AMRQ_PLAIN)
#if __GNUC__ >= 12
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define WIDE
#endif

#endif
