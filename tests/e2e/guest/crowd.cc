// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/guest/commands.h"
#include "tests/e2e/guest/report.h"
#include "tests/e2e/guest/traffic.h"

namespace kinsock::guest {
namespace {

void EchoUntilEnd(Stream stream) {
  std::vector<std::byte> chunk(kChunkBytes);
  while (true) {
    const auto [bytes, error] = stream.Read(chunk);
    if (bytes == 0) return;
    if (stream.Write({chunk.data(), bytes}) != 0) return;
  }
}

// Sends one stream into the echo and checks what comes back, both at the same time.
void CheckEcho(Stream& stream, uint32_t seed, uint64_t bytes) {
  std::thread sender([&stream, seed, bytes] {
    Digest no_digest(false);
    const Sent sent = SendPattern(stream, seed, bytes, no_digest);
    if (sent.error != 0) Fail("send", {{"errno", ErrnoName(sent.error)}, {"seed", std::to_string(seed)}});
    stream.FinishSending();
  });
  Digest no_digest(false);
  const Received received = ReceivePattern(stream, seed, bytes, no_digest);
  sender.join();
  if (received.error != 0 || received.verdict != "exact") {
    Fail("echo", {{"seed", std::to_string(seed)}, {"errno", ErrnoName(received.error)}, {"verdict", received.verdict}});
  }
}

Address PeerOf(const Options& options) {
  if (!options.connect_to) Fail("usage", {{"missing", "--connect"}});
  return *options.connect_to;
}

}  // namespace

int Echo(const Options& options) {
  if (!options.listen_port) Fail("usage", {{"missing", "--listen"}});
  Listener listener(*options.listen_port);
  while (true) std::thread(EchoUntilEnd, listener.Accept()).detach();
}

int Visits(const Options& options) {
  const int64_t start = NowMs();
  for (uint32_t visit = 0; visit < options.count; ++visit) {
    Stream stream = Connect(PeerOf(options));
    CheckEcho(stream, options.seed + visit, options.bytes);
  }
  Report("visited", {{"count", std::to_string(options.count)}, {"ms", std::to_string(NowMs() - start)}});
  return EXIT_SUCCESS;
}

int Crowd(const Options& options) {
  const int64_t start = NowMs();
  std::latch everyone_is_connected(options.count);
  std::vector<std::thread> crowd;
  for (uint32_t member = 0; member < options.count; ++member) {
    crowd.emplace_back([&options, &everyone_is_connected, member] {
      Stream stream = Connect(PeerOf(options));
      everyone_is_connected.arrive_and_wait();
      CheckEcho(stream, options.seed + member, options.bytes);
    });
  }
  for (std::thread& member : crowd) member.join();
  Report("crowded", {{"count", std::to_string(options.count)}, {"ms", std::to_string(NowMs() - start)}});
  return EXIT_SUCCESS;
}

}  // namespace kinsock::guest
