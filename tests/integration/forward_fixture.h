// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_INTEGRATION_FORWARD_FIXTURE_H_
#define KINSOCK_TESTS_INTEGRATION_FORWARD_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "device/forward.h"
#include "tests/integration/hybrid_fixture.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

enum class HostFamily { kUnix, kTcp4, kTcp6 };

// "Unix", "Tcp4", "Tcp6".
std::string NameOf(HostFamily family);

// A listening socket of the host, at an address that was free.
struct HostListener {
  UniqueFd socket;
  HostEndpoint address;

  static HostListener At(HostFamily family, const std::string& path, int backlog = 128);

  // The next connection, if one is there.
  std::optional<UniqueFd> TryAccept() const;
};

// A connection that is made, or under way; non-blocking.
UniqueFd StartConnecting(const HostEndpoint& address);

struct ForwardClock {
  SimulatedClock clock;  // of the reactors: for what takes time
};

// Guests with forwards: programs on the host and in the guests that are connected without a handshake.
class ForwardTest : protected ForwardClock, public HybridTest {
 protected:
  ForwardTest() : HybridTest(ForwardClock::clock) {}

  // Whoever connects to the address that is returned gets to `guest_port`.
  std::shared_ptr<Forward> ForwardToGuest(Cid cid, Port guest_port, HostFamily family, bool proxy_header = false);
  // Who in the guest connects to host port `guest_port` gets to `target`.
  std::shared_ptr<Forward> ForwardFromGuest(Cid cid, Port guest_port, const HostEndpoint& target,
                                            bool proxy_header = false);

  // A program that connects to the forward, and one in the guest that accepts.
  HostPair ConnectThrough(const Forward& forward, SimulatedGuest& guest);
  // A program in the guest that calls, and one at `target` that accepts.
  HostPair CallThrough(const Forward& forward, SimulatedGuest& guest, const HostListener& target);

  // How the last connection that was closed ended.
  CloseReason LastCloseReason();

  std::string NewPath() { return dir_ / ("s" + std::to_string(++paths_)); }

 private:
  TempDir dir_;
  int paths_ = 0;
};

// The same with one forward, in either direction, for tests that want connections and do not care how they come about.
class ForwardWay : public ForwardTest {
 protected:
  // A program on the host and one in `guest`, connected through forward(), which is made if there is none.
  HostPair ConnectBy(bool to_guest, HostFamily family, SimulatedGuest& guest);

  bool has_forward() const { return forward_ != nullptr; }
  Forward& forward() { return *forward_; }

  void TearDown() override;

 private:
  std::shared_ptr<Forward> forward_;
  HostListener target_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_INTEGRATION_FORWARD_FIXTURE_H_
