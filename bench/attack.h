// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_ATTACK_H_
#define KINSOCK_BENCH_ATTACK_H_

#include <string>

#include "bench/load.h"

namespace kinsock::bench {

// Where the neighbours of an attacker listen without doing anything for who connects.
inline constexpr uint32_t kAttackPort = 6000;

// The names of all attacks, in one line.
std::string AttackNames();

// Attacks the back-end, and through it the guest `options.victim`, with the guest of the first socket (and an
// accomplice, the second, where the attack needs one) until SIGTERM or SIGINT. Says "attacking" when it has begun.
Figures MeasureAttack(const LoadOptions& options);

// Uses `options.percent` of one CPU until SIGTERM or SIGINT and does nothing with it: what an attacker costs its
// neighbours without attacking anybody. Says "attacking" as well.
Figures MeasureBurn(const LoadOptions& options);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_ATTACK_H_
