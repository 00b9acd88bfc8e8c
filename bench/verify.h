// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BENCH_VERIFY_H_
#define KINSOCK_BENCH_VERIFY_H_

#include <string>
#include <vector>

#include "bench/drive.h"
#include "bench/load.h"

namespace kinsock::bench {

inline void Append(Figures& figures, const Figures& more) { figures.insert(figures.end(), more.begin(), more.end()); }

// The account of streams whose every byte was looked at. Each wrong one is also described on standard error.
class Verification {
 public:
  // `verdict` as PatternChecker says it.
  void Add(uint64_t bytes, const std::string& verdict);
  // "verified_mib" and "wrong_streams".
  Figures figures() const;

 private:
  uint64_t bytes_ = 0;
  uint64_t wrong_ = 0;
};

// Waits until `receiver` has all that `sender` sent on `streams`, or until nothing has come for two seconds, and says
// whether each stream arrived whole, in order and once. The sender must have stopped.
Figures VerifyGuestStreams(const Guests& guests, const BenchGuest& sender, const BenchGuest& receiver,
                           const std::vector<BenchGuest::Connection*>& streams);

// Drives `guests` until `received()` is `wanted`, or has not changed for two seconds.
void AwaitBytes(const Guests& guests, const std::function<uint64_t()>& received, uint64_t wanted);

}  // namespace kinsock::bench

#endif  // KINSOCK_BENCH_VERIFY_H_
