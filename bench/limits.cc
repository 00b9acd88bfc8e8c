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

constexpr size_t kBody = 44;  // the header in front of each piece

// Gbit per second and per CPU-second of this thread: a machine with other work takes the CPU away now and then.
class Rate {
 public:
  Figures Of(uint64_t bytes) const {
    const double gbit = static_cast<double>(bytes) * kGbit;
    return {{"gbit_per_s", gbit / Seconds(BenchClock::now() - begin_)},
            {"gbit_per_cpu_s", gbit / (ThreadCpuSeconds() - cpu_)}};
  }

 private:
  const double cpu_ = ThreadCpuSeconds();
  const BenchClock::time_point begin_ = BenchClock::now();
};

}  // namespace

// The copies of a sibling stream and nothing else: from one buffer of a sender into the receiver's ring of
// buffers, piece by piece.
Figures MeasureMemcpy(const LoadOptions& options) {
  const size_t buffers = options.guest.ring_entries;
  const size_t pitch = (options.guest.rx_buffer_bytes + 4095) / 4096 * 4096;
  const size_t bytes = buffers * pitch + options.write_bytes;
  void* const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) Fail("no memory to copy in");
  char* const memory = static_cast<char*>(mapped);
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
  copy_for(options.duration / kWarmUpPart);
  copied = 0;
  const Rate rate;
  copy_for(options.duration);
  Figures figures = rate.Of(copied);
  munmap(memory, bytes);
  return figures;
}

// One program writes to another through the kernel.
Figures MeasureUnixStream(const LoadOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Fail("no socket pair");
  UniqueFd writer(ends[0]);
  const UniqueFd reader(ends[1]);
  std::atomic<bool> stop{false};
  std::thread program([&] {
    const std::string bytes(options.write_bytes, 'x');
    while (!stop && write(writer.get(), bytes.data(), bytes.size()) > 0) {
    }
    writer.reset();
  });
  std::string buffer(kReadBytes, 'x');
  uint64_t received = 0;
  const auto read_for = [&](BenchClock::duration duration) {
    const BenchClock::time_point end = BenchClock::now() + duration;
    while (BenchClock::now() < end) received += static_cast<uint64_t>(read(reader.get(), buffer.data(), buffer.size()));
  };
  read_for(options.duration / kWarmUpPart);
  received = 0;
  Stretch stretch(0);
  read_for(options.duration);
  stretch.Stop();
  const uint64_t received_measured = received;
  stop = true;
  while (read(reader.get(), buffer.data(), buffer.size()) > 0) {
  }
  program.join();
  return Throughput(received_measured, stretch);
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
  const BenchClock::time_point warm = BenchClock::now() + options.duration / kWarmUpPart;
  const BenchClock::time_point end = warm + options.duration;
  while (BenchClock::now() < end) {
    const BenchClock::time_point begin = BenchClock::now();
    eventfd_t count;
    eventfd_write(there.get(), 1);
    eventfd_read(back.get(), &count);
    if (begin >= warm) samples.push_back(Seconds(BenchClock::now() - begin) * 1e6);
  }
  stop = true;
  eventfd_write(there.get(), 1);
  other.join();
  return Latency(samples);
}

}  // namespace kinsock::bench
