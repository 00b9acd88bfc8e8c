// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/drive.h"
#include "bench/host_program.h"
#include "bench/load.h"
#include "bench/probe.h"
#include "bench/verify.h"

namespace kinsock::bench {
namespace {

constexpr uint32_t kHostCid = 2;
constexpr int kConnectsAtOnce = 16;

void Ignore(BenchGuest::Connection&) {}
void Echo(BenchGuest::Connection& connection) { connection.echoes = true; }

// Joins a program that may need the guest to move on before it can end.
void Join(std::thread& program, const Guests& guests) {
  std::atomic<bool> joined{false};
  std::thread joiner([&] {
    program.join();
    joined = true;
  });
  Drive(guests, [&] { return joined.load(); });
  joiner.join();
}

// Writes until told to stop: always the same bytes, or those of the stream's pattern. Returns how many.
uint64_t WriteUntil(const std::atomic<bool>& stop, const UniqueFd& fd, const LoadOptions& options, uint32_t seed) {
  std::vector<std::byte> bytes(options.write_bytes);
  uint64_t written = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    if (options.guest.verify) guest::FillPattern(seed, written, bytes);
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t count = write(fd.get(), bytes.data() + done, bytes.size() - done);
      if (count <= 0) Fail("the host program's stream ended");
      done += static_cast<size_t>(count);
    }
    written += bytes.size();
  }
  return written;
}

}  // namespace

Figures MeasureHostToGuest(const LoadOptions& options) {
  Need(options, 1);
  BenchGuest guest(options.sockets[0], options.guest);
  BenchGuest::Connection* stream = nullptr;
  guest.Listen(kPort, [&stream](BenchGuest::Connection& connection) { stream = &connection; });
  std::atomic<bool> stop{false};
  std::atomic<bool> all_written{false};
  std::atomic<bool> over{false};
  uint64_t written = 0;  // read behind all_written
  std::thread program([&] {
    const UniqueFd fd = AskForPort(options.uds_path, kPort);
    if (AwaitOk(fd) == 0) Fail("the guest was not reached");
    written = WriteUntil(stop, fd, options, StreamSeed(kHostCid, 0, kPort));
    all_written = true;
    while (!over) poll(nullptr, 0, 1);  // the stream stays open until all has been looked at
  });
  DriveFor({&guest}, options.duration / kWarmUpPart);
  const uint64_t before = guest.received();
  Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  stretch.Stop();
  Figures figures = Throughput(guest.received() - before, stretch);
  stop = true;
  if (options.guest.verify) {
    Drive({&guest}, [&] { return all_written.load(); });
    AwaitBytes(
        {&guest}, [&guest] { return guest.received(); }, written);
    Verification verification;
    const bool came = stream != nullptr && stream->checker != nullptr;
    verification.Add(written, came ? stream->checker->Verdict(written) : "nothing came");
    Append(figures, verification.figures());
  }
  over = true;
  Join(program, {&guest});
  return figures;
}

Figures MeasureGuestToHost(const LoadOptions& options) {
  Need(options, 1);
  const UniqueFd listener = ListenAt(absl::StrCat(options.uds_path, "_", kPort));
  BenchGuest guest(options.sockets[0], options.guest);
  BenchGuest::Connection& stream = guest.Connect(kHostCid, kPort);
  guest.Send(stream, kEndless, options.write_bytes);
  guest::PatternChecker checker(StreamSeed(guest.cid(), stream.local_port, kPort));
  std::atomic<uint64_t> received{0};
  std::thread program([&] {
    const UniqueFd fd(accept(listener.get(), nullptr, nullptr));
    std::vector<std::byte> buffer(kReadBytes);
    for (;;) {
      const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      if (options.guest.verify) checker.Feed({buffer.data(), static_cast<size_t>(got)});
      received.fetch_add(static_cast<uint64_t>(got), std::memory_order_release);
    }
  });
  DriveFor({&guest}, options.duration / kWarmUpPart);
  const uint64_t before = received;
  Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  stretch.Stop();
  Figures figures = Throughput(received - before, stretch);
  guest.StopSending();
  AwaitBytes(
      {&guest}, [&received] { return received.load(std::memory_order_acquire); }, stream.sent);
  guest.Close(stream);
  Join(program, {&guest});
  if (options.guest.verify) {
    Verification verification;
    verification.Add(received, checker.Verdict(stream.sent));
    Append(figures, verification.figures());
  }
  return figures;
}

// One byte from a host program to the guest and back; both sleep while they wait.
Figures MeasureHostLatency(const LoadOptions& options) {
  Need(options, 1);
  BenchGuest guest(options.sockets[0], options.guest);
  guest.Listen(kPort, Echo);
  std::atomic<bool> stop{false};
  std::vector<double> samples;
  std::thread program([&] {
    const UniqueFd fd = AskForPort(options.uds_path, kPort);
    if (AwaitOk(fd) == 0) Fail("the guest was not reached");
    const BenchClock::time_point warm = BenchClock::now() + options.duration / kWarmUpPart;
    const BenchClock::time_point end = warm + options.duration;
    char byte = 'x';
    for (BenchClock::time_point begin = BenchClock::now(); begin < end;) {
      if (write(fd.get(), &byte, 1) != 1 || read(fd.get(), &byte, 1) != 1) Fail("the host program's stream ended");
      const BenchClock::time_point now = BenchClock::now();
      if (begin >= warm) samples.push_back(Seconds(now - begin) * 1e6);
      begin = now;
    }
    stop = true;
  });
  Drive({&guest}, [&] { return stop.load(std::memory_order_relaxed); });
  program.join();
  return Latency(samples);
}

// One byte from the guest to a host program and back.
Figures MeasureGuestLatency(const LoadOptions& options) {
  Need(options, 1);
  const UniqueFd listener = ListenAt(absl::StrCat(options.uds_path, "_", kPort));
  BenchGuest guest(options.sockets[0], options.guest);
  BenchGuest::Connection& stream = guest.Connect(kHostCid, kPort);
  std::thread program([&] {
    const UniqueFd fd(accept(listener.get(), nullptr, nullptr));
    char byte;
    while (read(fd.get(), &byte, 1) == 1 && write(fd.get(), &byte, 1) == 1) {
    }
  });
  std::vector<double> samples;
  BenchClock::time_point sent = BenchClock::now();
  guest.on_data = [&](BenchGuest::Connection&, uint32_t) {
    const BenchClock::time_point now = BenchClock::now();
    samples.push_back(Seconds(now - sent) * 1e6);
    sent = now;
    guest.Send(stream, 1, 1);
  };
  guest.Send(stream, 1, 1);
  DriveFor({&guest}, options.duration / kWarmUpPart);
  samples.clear();
  DriveFor({&guest}, options.duration);
  Figures figures = Latency(samples);
  guest.on_data = nullptr;
  guest.Close(stream);
  Join(program, {&guest});
  return figures;
}

// Host programs connect, hear OK, and close; 16 at a time, by one thread.
Figures MeasureHostConnects(const LoadOptions& options) {
  Need(options, 1);
  BenchGuest guest(options.sockets[0], options.guest);
  guest.Listen(kPort, Ignore);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> made{0};
  std::thread program([&] {
    std::vector<UniqueFd> asked;
    std::vector<pollfd> awaited;
    for (int i = 0; i < kConnectsAtOnce; ++i) {
      asked.push_back(AskForPort(options.uds_path, kPort));
      awaited.push_back({.fd = asked.back().get(), .events = POLLIN, .revents = 0});
    }
    while (!stop.load(std::memory_order_relaxed)) {
      poll(awaited.data(), awaited.size(), 20);
      for (size_t i = 0; i < asked.size(); ++i) {
        if (awaited[i].revents == 0) continue;
        if (AwaitOk(asked[i]) == 0) Fail("the guest was not reached");
        made.fetch_add(1, std::memory_order_relaxed);
        asked[i] = AskForPort(options.uds_path, kPort);
        awaited[i].fd = asked[i].get();
      }
    }
  });
  DriveFor({&guest}, options.duration / kWarmUpPart);
  const uint64_t before = made;
  Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  stretch.Stop();
  const auto count = static_cast<double>(made - before);
  stop = true;
  Join(program, {&guest});
  return {{"connections_per_s", count / stretch.wall()}, {"cpu_us_each", stretch.cpu() * 1e6 / count}};
}

// The guest connects to a host program and closes when that has accepted; 16 at a time.
Figures MeasureGuestConnects(const LoadOptions& options) {
  Need(options, 1);
  const UniqueFd listener = ListenAt(absl::StrCat(options.uds_path, "_", kPort));
  BenchGuest guest(options.sockets[0], options.guest);
  std::atomic<bool> stop{false};
  std::thread program([&] {
    std::vector<pollfd> awaited = {{.fd = listener.get(), .events = POLLIN, .revents = 0}};
    std::vector<UniqueFd> accepted(1);  // beside `awaited`
    while (!stop.load(std::memory_order_relaxed)) {
      poll(awaited.data(), awaited.size(), 20);
      for (size_t i = awaited.size() - 1; i > 0; --i) {
        if (awaited[i].revents == 0) continue;
        accepted[i] = std::move(accepted.back());  // closes
        awaited[i] = awaited.back();
        accepted.pop_back();
        awaited.pop_back();
      }
      if (awaited[0].revents == 0) continue;
      accepted.emplace_back(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      awaited.push_back({.fd = accepted.back().get(), .events = POLLIN, .revents = 0});
    }
  });
  uint64_t finished = 0;
  bool over = false;
  guest.on_change = [&](BenchGuest::Connection& connection) {
    if (connection.state == BenchGuest::Connection::State::kOpen) return guest.Close(connection);
    if (!connection.was_open) Fail("a connection was refused");
    ++finished;
    if (!over) guest.Connect(kHostCid, kPort);
  };
  for (int i = 0; i < kConnectsAtOnce; ++i) guest.Connect(kHostCid, kPort);
  DriveFor({&guest}, options.duration / kWarmUpPart);
  const uint64_t before = finished;
  Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  stretch.Stop();
  const auto count = static_cast<double>(finished - before);
  over = true;
  stop = true;
  Join(program, {&guest});
  return {{"connections_per_s", count / stretch.wall()}, {"cpu_us_each", stretch.cpu() * 1e6 / count}};
}

}  // namespace kinsock::bench
