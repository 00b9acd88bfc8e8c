// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "bench/load.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

constexpr uint32_t kPort = 5000;
constexpr uint64_t kEndless = uint64_t{1} << 60;
constexpr double kGbit = 8e-9;

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) Fail("--uds-path");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

UniqueFd ConnectTo(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) Fail("connect");
  return fd;
}

UniqueFd ListenAt(const std::string& path) {
  unlink(path.c_str());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = Address(path);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) Fail("bind");
  if (listen(fd.get(), 128) != 0) Fail("listen");
  return fd;
}

// A stream to the guest's port, past the handshake. False if the guest did not accept.
bool Handshake(const UniqueFd& fd) {
  const std::string line = absl::StrCat("CONNECT ", kPort, "\n");
  if (write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) return false;
  char byte = 0;
  while (byte != '\n') {
    if (read(fd.get(), &byte, 1) != 1) return false;
  }
  return true;
}

Figures PerSecond(double gbit, double wall, double cpu) {
  Figures figures = {{"gbit_per_s", gbit / wall}};
  if (cpu > 0) figures.push_back({"gbit_per_cpu_s", gbit / cpu});
  return figures;
}

}  // namespace

Figures MeasureHostToGuest(const LoadOptions& options) {
  BenchGuest guest(options.sockets.at(0), options.guest);
  guest.on_accept = [](BenchGuest::Connection&) {};
  std::atomic<bool> stop{false};
  std::thread program([&] {
    const UniqueFd fd = ConnectTo(options.uds_path);
    if (!Handshake(fd)) Fail("handshake");
    const std::string bytes(options.write_bytes, 'x');
    while (!stop && write(fd.get(), bytes.data(), bytes.size()) > 0) {
    }
  });
  DriveFor({&guest}, options.duration / 4);
  const uint64_t before = guest.received();
  const Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  const Figures figures = PerSecond(static_cast<double>(guest.received() - before) * kGbit, stretch.wall(),
                                    stretch.cpu());
  stop = true;
  std::atomic<bool> joined{false};
  std::thread joiner([&] {
    program.join();
    joined = true;
  });
  Drive({&guest}, [&] { return joined.load(); });
  joiner.join();
  return figures;
}

Figures MeasureGuestToHost(const LoadOptions& options) {
  const UniqueFd listener = ListenAt(absl::StrCat(options.uds_path, "_", kPort));
  BenchGuest guest(options.sockets.at(0), options.guest);
  guest.Send(guest.Connect(/*cid=*/2, kPort), kEndless, options.write_bytes);
  std::atomic<uint64_t> received{0};
  std::thread program([&] {
    const UniqueFd fd(accept(listener.get(), nullptr, nullptr));
    std::string buffer(std::max<size_t>(options.write_bytes, 65536), 'x');
    for (;;) {
      const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
      if (got <= 0) return;
      received.fetch_add(static_cast<uint64_t>(got), std::memory_order_relaxed);
    }
  });
  DriveFor({&guest}, options.duration / 4);
  const uint64_t before = received;
  const Stretch stretch(options.backend);
  DriveFor({&guest}, options.duration);
  const Figures figures =
      PerSecond(static_cast<double>(received - before) * kGbit, stretch.wall(), stretch.cpu());
  program.detach();  // ends with the process
  return figures;
}

Figures MeasureHostLatency(const LoadOptions& options) {
  BenchGuest guest(options.sockets.at(0), options.guest);
  guest.on_accept = [](BenchGuest::Connection& connection) { connection.echoes = true; };
  std::atomic<bool> stop{false};
  std::vector<double> samples;
  std::thread program([&] {
    const UniqueFd fd = ConnectTo(options.uds_path);
    if (!Handshake(fd)) Fail("handshake");
    const BenchClock::time_point end = BenchClock::now() + options.duration;
    char byte = 'x';
    while (BenchClock::now() < end) {
      const BenchClock::time_point begin = BenchClock::now();
      if (write(fd.get(), &byte, 1) != 1 || read(fd.get(), &byte, 1) != 1) Fail("round trip");
      samples.push_back(Seconds(BenchClock::now() - begin) * 1e6);
    }
    stop = true;
  });
  Drive({&guest}, [&] { return stop.load(); });
  program.join();
  return {{"p50_us", Quantile(samples, 0.5)}, {"p99_us", Quantile(samples, 0.99)}};
}

Figures MeasureHostConnects(const LoadOptions& options) {
  BenchGuest guest(options.sockets.at(0), options.guest);
  guest.on_accept = [](BenchGuest::Connection&) {};
  std::atomic<bool> stop{false};
  uint64_t made = 0;
  std::thread program([&] {
    const BenchClock::time_point end = BenchClock::now() + options.duration;
    while (BenchClock::now() < end) {
      if (!Handshake(ConnectTo(options.uds_path))) Fail("handshake");
      ++made;
    }
    stop = true;
  });
  const Stretch stretch(options.backend);
  Drive({&guest}, [&] { return stop.load(); });
  program.join();
  return {{"connections_per_s", static_cast<double>(made) / stretch.wall()}};
}

}  // namespace kinsock::bench
