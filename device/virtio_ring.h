// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_VIRTIO_RING_H_
#define KINSOCK_DEVICE_VIRTIO_RING_H_

#include <cstdint>

#include "base/little_endian.h"

namespace kinsock {

// The split virtqueue as it lies in guest memory (virtio 1.3, 2.7).

inline constexpr uint16_t kVringDescNext = 1;      // the chain goes on at `next`
inline constexpr uint16_t kVringDescWrite = 2;     // for the device to write
inline constexpr uint16_t kVringDescIndirect = 4;  // points to a table of descriptors

inline constexpr uint16_t kVringAvailNoInterrupt = 1;
inline constexpr uint16_t kVringUsedNoNotify = 1;

inline constexpr uint32_t kMaxVringSize = 32768;

struct VringDesc {
  Le<uint64_t> addr;
  Le<uint32_t> len;
  Le<uint16_t> flags;
  Le<uint16_t> next;
};
static_assert(sizeof(VringDesc) == 16);

struct VringUsedElem {
  Le<uint32_t> id;
  Le<uint32_t> len;
};
static_assert(sizeof(VringUsedElem) == 8);

// Bytes of each part of a ring of `size` entries, with the event fields that EVENT_IDX adds.
inline constexpr uint64_t VringDescBytes(uint32_t size) { return uint64_t{16} * size; }
inline constexpr uint64_t VringAvailBytes(uint32_t size) { return 6 + uint64_t{2} * size; }
inline constexpr uint64_t VringUsedBytes(uint32_t size) { return 6 + uint64_t{8} * size; }

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_VIRTIO_RING_H_
