// SPDX-License-Identifier: Apache-2.0
#include "bench/verify.h"

#include <cstdio>

#include "bench/probe.h"

namespace kinsock::bench {

void Verification::Add(uint64_t bytes, const std::string& verdict) {
  bytes_ += bytes;
  if (verdict == "exact") return;
  ++wrong_;
  std::fprintf(stderr, "vsock_load: a stream came wrong: %s\n", verdict.c_str());
}

Figures Verification::figures() const {
  return {{"verified_mib", static_cast<double>(bytes_) / (1 << 20)}, {"wrong_streams", static_cast<double>(wrong_)}};
}

void AwaitBytes(const Guests& guests, const std::function<uint64_t()>& received, uint64_t wanted) {
  constexpr std::chrono::seconds kPatience{2};
  uint64_t last = received();
  BenchClock::time_point deadline = BenchClock::now() + kPatience;
  Drive(guests, [&] {
    const uint64_t now = received();
    if (now != last) deadline = BenchClock::now() + kPatience;
    last = now;
    return now == wanted || BenchClock::now() > deadline;
  });
}

Figures VerifyGuestStreams(const Guests& guests, const BenchGuest& sender, const BenchGuest& receiver,
                           const std::vector<BenchGuest::Connection*>& streams) {
  uint64_t sent = 0;
  for (const BenchGuest::Connection* stream : streams) sent += stream->sent;
  AwaitBytes(
      guests, [&receiver] { return receiver.received(); }, sent);
  Verification verification;
  for (const BenchGuest::Connection* stream : streams) {
    const BenchGuest::Connection* end = receiver.Find(stream->peer_port, sender.cid(), stream->local_port);
    if (end == nullptr) {
      verification.Add(0, "the receiver does not know it any more");
    } else if (end->checker == nullptr) {
      verification.Add(0, stream->sent == 0 ? "exact" : "nothing came");
    } else {
      verification.Add(end->received, end->checker->Verdict(stream->sent));
    }
  }
  return verification.figures();
}

}  // namespace kinsock::bench
