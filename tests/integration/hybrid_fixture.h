// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_INTEGRATION_HYBRID_FIXTURE_H_
#define KINSOCK_TESTS_INTEGRATION_HYBRID_FIXTURE_H_

#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "tests/support/switch_test.h"

namespace kinsock::testing {

// Host programs and guests, connected in either direction.
class HybridTest : public SwitchTest {
 protected:
  explicit HybridTest(const Clock& clock = Clock::Monotonic()) : SwitchTest(2, clock) {}

  struct HostPair {
    std::unique_ptr<HybridClient> program;
    Stream guest;
  };

  // A host program connected to a program in `guest`.
  HostPair ConnectFromHost(SimulatedGuest& guest, Port port = 80) {
    guest.Listen(port);
    auto program = std::make_unique<HybridClient>(stage(), uds_path(static_cast<Cid>(guest.cid())));
    program->Connect(port);
    Stream stream = guest.Accept(port);
    RunUntil([&] { return program->ok_port().has_value(); });
    return {std::move(program), stream};
  }

  // A program in `guest` connected to a host program that listens on `port`.
  HostPair ConnectToHost(SimulatedGuest& guest, Port port = 1234) {
    HybridListener listener(uds_path(static_cast<Cid>(guest.cid())), port);
    Stream stream = guest.Connect(2, port);
    std::optional<UniqueFd> accepted;
    RunUntil([&] { return accepted.has_value() || (accepted = listener.TryAccept()).has_value(); });
    RunUntil([&] { return stream.established(); });
    unlink(listener.path().c_str());
    return {std::make_unique<HybridClient>(stage(), accepted ? std::move(*accepted) : UniqueFd()), stream};
  }

  void Exchange(HostPair& pair, uint32_t seed, uint64_t bytes) {
    pair.guest.ExpectPattern(seed);
    pair.program->SendPattern(seed, bytes);
    pair.program->ExpectPattern(seed + 1);
    pair.guest.SendPattern(seed + 1, bytes);
    RunUntil([&] { return pair.guest.received_bytes() >= bytes && pair.program->received_bytes() >= bytes; });
    EXPECT_EQ(pair.guest.Verdict(bytes), "exact");
    EXPECT_EQ(pair.program->Verdict(bytes), "exact");
  }
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_INTEGRATION_HYBRID_FIXTURE_H_
