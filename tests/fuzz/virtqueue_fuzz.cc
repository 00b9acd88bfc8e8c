// SPDX-License-Identifier: Apache-2.0
// Border: a guest's rings, descriptors and packets. The whole guest memory is the input; a device takes packets
// from the transmit ring and puts answers into the receive ring until both are empty or broken.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "device/guest_fault.h"
#include "device/guest_memory.h"
#include "device/receive_ring.h"
#include "device/virtqueue.h"
#include "router/vsock_header.h"

namespace kinsock {
namespace {

constexpr uint64_t kBytes = 16384;
constexpr uint64_t kHalf = kBytes / 2;
constexpr uint16_t kSize = 16;

// Guest memory that is made once and filled anew for each input. Two regions that meet, so that buffers cross. It is
// mapped twice, as sender and as receiver: no guest is its own peer, so copies never overlap.
struct Guest {
  Guest() {
    GuestFaultGuard::Install();
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (ftruncate(fd, kBytes) != 0) abort();
    bytes = static_cast<uint8_t*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    sender = Map(fd);
    receiver = Map(fd);
    close(fd);
  }

  static std::shared_ptr<const GuestMemory> Map(int fd) {
    std::vector<MemoryRegionSpec> specs;
    for (const uint64_t half : {0, 1}) {
      specs.push_back({.guest_address = half * kHalf,
                       .size = kHalf,
                       .user_address = half << 20,
                       .mmap_offset = half * kHalf,
                       .fd = UniqueFd(dup(fd))});
    }
    auto created = GuestMemory::Create(std::move(specs));
    if (!created.ok()) abort();
    return *std::move(created);
  }

  uint8_t* bytes;
  std::shared_ptr<const GuestMemory> sender;
  std::shared_ptr<const GuestMemory> receiver;
};

Virtqueue Queue(std::shared_ptr<const GuestMemory> memory, uint64_t at, bool event_idx) {
  auto queue = Virtqueue::Create({.size = kSize,
                                  .desc_user_address = at,
                                  .avail_user_address = at + 512,
                                  .used_user_address = at + 1024,
                                  .event_idx = event_idx,
                                  .indirect = true},
                                 std::move(memory));
  if (!queue.ok()) abort();
  return *std::move(queue);
}

}  // namespace
}  // namespace kinsock

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kinsock;
  static Guest& guest = *new Guest;
  std::memset(guest.bytes, 0, kBytes);
  std::memcpy(guest.bytes, data, size < kBytes ? size : kBytes);

  Virtqueue transmit = Queue(guest.sender, 0, size % 2 == 0);
  DeviceStats stats;
  ReceiveRing receive(Queue(guest.receiver, 2048, size % 3 == 0), nullptr, stats, {});
  uint32_t returned = 0;
  for (bool alive = true; alive && returned <= kSize;) {
    DescriptorChain chain;
    switch (transmit.Pop(chain)) {
      case Virtqueue::PopResult::kChain: {
        VsockHeaderWire wire;
        if (chain.readable.CopyOut(0, &wire, sizeof(wire)) == sizeof(wire)) {
          ScatterList payload = chain.readable;
          payload.RemovePrefix(sizeof(wire));
          // What the switch would do with it: pieces into receive buffers.
          uint32_t taken = 0;
          while (true) {
            const auto put = receive.Put(Decode(wire), payload, taken);
            if (!put.has_value()) break;
            taken += *put;
            if (taken >= payload.size()) break;
          }
        }
        [[fallthrough]];
      }
      case Virtqueue::PopResult::kMalformed:
        transmit.Return(chain, 0);
        ++returned;
        break;
      default:
        alive = false;
    }
  }
  transmit.Publish();
  receive.Flush();
  if (transmit.in_flight() != 0) abort();
  return 0;
}
