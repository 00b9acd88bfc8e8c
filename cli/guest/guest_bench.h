// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_GUEST_GUEST_BENCH_H_
#define KINSOCK_CLI_GUEST_GUEST_BENCH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "cli/guest/guest_port.h"
#include "cli/guest/latency.h"
#include "cli/text/progress.h"

namespace kinsock {

// What serves the guest's port that is measured.
enum class BenchServer : uint8_t {
  kEcho,     // sends back what it gets
  kDiscard,  // gets, and sends nothing
  kSource,   // sends without end
};

struct BenchSettings {
  BenchServer server = BenchServer::kEcho;
  std::chrono::milliseconds time{3000};  // that each measurement takes
  size_t message_bytes = 64;             // of a round trip
  size_t connections = 1;                // at once, of round trips and bytes
};

// What one measurement has found.
struct BenchResult {
  uint64_t count = 0;    // round trips, or connections
  uint64_t refused = 0;  // connections
  uint64_t bytes = 0;    // that the guest has got, or we have; of an echo those that came back
  double seconds = 0;    // that it took
  Latency latency;       // of round trips, or from the CONNECT to the OK
  std::string fault;     // empty: it went well
};

// Measures connections between this process and a program in a guest, as any program of the host has them: through the
// VM's socket, the daemon, the guest's kernel, and that program, whose work is in the figures. One thread; each call
// lasts for the settings' time, and kPatience more for what is under way.
class GuestBench {
 public:
  // Of somebody who must answer. Guests give up on a connection in 2 s.
  static constexpr std::chrono::milliseconds kPatience{10'000};
  static constexpr size_t kMaxConnections = 256;
  static constexpr size_t kMaxMessageBytes = 64 * 1024;  // what a connection takes without being read

  // Gives a new connection to the guest's port.
  using Dial = std::function<Dialled(UniqueFd& socket)>;

  GuestBench(Dial dial, const BenchSettings& settings, Progress& progress)
      : dial_(std::move(dial)), settings_(settings), progress_(progress) {}

  BenchResult RoundTrips();   // needs an echo
  BenchResult Connections();  // one after the other
  BenchResult Bytes();

 private:
  using Clock = std::chrono::steady_clock;
  struct Line;

  bool Open(std::vector<Line>& lines, BenchResult& result);
  void Tell(const char* what, Clock::time_point begun) const;

  const Dial dial_;
  const BenchSettings settings_;
  Progress& progress_;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_GUEST_GUEST_BENCH_H_
