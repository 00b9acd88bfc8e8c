// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_GUEST_MEMORY_H_
#define KINSOCK_DEVICE_GUEST_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/scatter_list.h"
#include "base/unique_fd.h"

namespace kinsock {

// One region as the front-end describes it (vhost-user, "Memory region description").
struct MemoryRegionSpec {
  uint64_t guest_address = 0;
  uint64_t size = 0;          // bytes
  uint64_t user_address = 0;  // where the front-end has it mapped; ring addresses are given in these
  uint64_t mmap_offset = 0;   // of the region in the file
  UniqueFd fd;
};

// One region, mapped shared, with inaccessible pages before and behind it. Immutable; unmapped at the end.
class MappedRegion {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedRegion>> Map(MemoryRegionSpec spec);
  ~MappedRegion();
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  uint64_t guest_address() const { return guest_address_; }
  uint64_t user_address() const { return user_address_; }
  uint64_t size() const { return size_; }
  std::byte* data() const { return data_; }
  // The file got shorter under us: what is read there is zero, what is written there is lost.
  bool faulted() const { return faulted_.load(std::memory_order_acquire); }

 private:
  MappedRegion() = default;

  uint64_t guest_address_ = 0;
  uint64_t user_address_ = 0;
  uint64_t size_ = 0;
  std::byte* data_ = nullptr;
  void* reservation_ = nullptr;  // guards included
  size_t reservation_bytes_ = 0;
  bool watched_ = false;
  mutable std::atomic<bool> faulted_{false};
};

// The memory of one guest: an immutable table of regions that do not overlap. Any thread; a change makes a new
// table that shares the mappings. Dropping the last table unmaps, which takes long: not on a reactor.
class GuestMemory {
 public:
  // As many as QEMU's vhost-user allows with the hot-pluggable slots of a PC.
  static constexpr size_t kMaxRegions = 509;

  GuestMemory() = default;

  // A table of these and no others. INVALID_ARGUMENT names the region and what is wrong with it.
  static absl::StatusOr<std::shared_ptr<const GuestMemory>> Create(std::vector<MemoryRegionSpec> specs);
  // This table and one region more.
  absl::StatusOr<std::shared_ptr<const GuestMemory>> With(MemoryRegionSpec spec) const;
  // This table without the region that has exactly these bounds. NOT_FOUND if there is none.
  absl::StatusOr<std::shared_ptr<const GuestMemory>> Without(uint64_t guest_address, uint64_t size,
                                                             uint64_t user_address) const;

  // Appends the `size` bytes at guest-physical `address` to `out`, in several pieces where regions meet.
  // False, and an unchanged `out` but for appended pieces, if any of them is not memory.
  bool Translate(uint64_t address, uint32_t size, ScatterList& out) const;

  // Where `size` bytes at `address` lie, if they lie in one region; else null. For what the device reads
  // field by field: rings and indirect tables.
  std::byte* Contiguous(uint64_t address, uint64_t size) const;

  // The same for an address of the front-end.
  std::byte* ContiguousUser(uint64_t user_address, uint64_t size) const;

  // Whether any region has faulted (MappedRegion::faulted).
  bool faulted() const;

  size_t regions() const { return regions_.size(); }

 private:
  using Region = std::shared_ptr<const MappedRegion>;
  static absl::StatusOr<std::shared_ptr<const GuestMemory>> FromRegions(std::vector<Region> regions);

  // What Translate() needs of a region, side by side: it is asked for every descriptor.
  struct Span {
    uint64_t guest_address;
    uint64_t size;
    std::byte* data;
  };

  std::vector<Region> regions_;  // by guest address
  std::vector<Span> spans_;      // the same
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_GUEST_MEMORY_H_
