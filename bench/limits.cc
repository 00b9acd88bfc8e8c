// SPDX-License-Identifier: Apache-2.0
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "bench/load.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

constexpr double kGbit = 8e-9;
constexpr size_t kBody = 44;  // the header in front of each piece

}  // namespace

// The copies of a sibling stream and nothing else: from one buffer of a sender into the receiver's ring of
// buffers, piece by piece.
Figures MeasureMemcpy(const LoadOptions& options) {
  const size_t buffers = options.guest.ring_entries;
  const size_t pitch = (options.guest.rx_buffer_bytes / 4096 + 1) * 4096;
  const size_t bytes = buffers * pitch + options.write_bytes;
  char* memory = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::memset(memory, 1, bytes);
  const char* source = memory + buffers * pitch;
  const size_t piece = options.guest.rx_buffer_bytes - kBody;
  size_t next = 0;
  uint64_t copied = 0;
  const auto copy_for = [&](BenchClock::duration duration) {
    const BenchClock::time_point end = BenchClock::now() + duration;
    while (BenchClock::now() < end) {
      for (size_t left = options.write_bytes; left > 0;) {
        const size_t n = std::min(left, piece);
        std::memcpy(memory + next * pitch + kBody, source + options.write_bytes - left, n);
        next = (next + 1) % buffers;
        left -= n;
      }
      copied += options.write_bytes;
    }
  };
  copy_for(options.duration / 8);
  copied = 0;
  const BenchClock::time_point begin = BenchClock::now();
  copy_for(options.duration / 2);
  const double gbit = static_cast<double>(copied) * kGbit / Seconds(BenchClock::now() - begin);
  munmap(memory, bytes);
  return {{"gbit_per_s", gbit}};
}

// One program writes to another through the kernel.
Figures MeasureUnixStream(const LoadOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return {};
  UniqueFd writer(ends[0]);
  const UniqueFd reader(ends[1]);
  std::atomic<bool> stop{false};
  std::thread program([&] {
    const std::string bytes(options.write_bytes, 'x');
    while (!stop && write(writer.get(), bytes.data(), bytes.size()) > 0) {
    }
    writer.reset();
  });
  std::string buffer(256 * 1024, 'x');
  uint64_t received = 0;
  const auto read_for = [&](BenchClock::duration duration) {
    const BenchClock::time_point end = BenchClock::now() + duration;
    while (BenchClock::now() < end) received += static_cast<uint64_t>(read(reader.get(), buffer.data(), buffer.size()));
  };
  read_for(options.duration / 4);
  received = 0;
  const BenchClock::time_point begin = BenchClock::now();
  read_for(options.duration);
  const double gbit = static_cast<double>(received) * kGbit / Seconds(BenchClock::now() - begin);
  stop = true;
  while (read(reader.get(), buffer.data(), buffer.size()) > 0) {
  }
  program.join();
  return {{"gbit_per_s", gbit}};
}

// A notification to a sleeping thread and back.
Figures MeasureEventfd(const LoadOptions& options) {
  const UniqueFd there(eventfd(0, EFD_CLOEXEC));
  const UniqueFd back(eventfd(0, EFD_CLOEXEC));
  std::atomic<bool> stop{false};
  std::thread other([&] {
    eventfd_t count;
    while (eventfd_read(there.get(), &count) == 0 && !stop) eventfd_write(back.get(), 1);
  });
  std::vector<double> samples;
  const BenchClock::time_point end = BenchClock::now() + options.duration;
  while (BenchClock::now() < end) {
    const BenchClock::time_point begin = BenchClock::now();
    eventfd_t count;
    eventfd_write(there.get(), 1);
    eventfd_read(back.get(), &count);
    samples.push_back(Seconds(BenchClock::now() - begin) * 1e6);
  }
  stop = true;
  eventfd_write(there.get(), 1);
  other.join();
  return {{"p50_us", Quantile(samples, 0.5)}, {"p99_us", Quantile(samples, 0.99)}};
}

}  // namespace kinsock::bench
