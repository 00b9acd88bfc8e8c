// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_SHARED_MEMORY_H_
#define KINSOCK_TESTS_SUPPORT_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace kinsock::testing {

// The RAM of one simulated guest: a memfd, as QEMU's memory-backend-memfd makes it, seen at guest-physical
// addresses (gpa) through a list of regions. One thread; the back-end maps the same pages on its own.
class SharedMemory {
 public:
  // A row of the memory table as a front-end tells it (vhost-user, "Memory region description").
  struct Region {
    uint64_t gpa = 0;
    uint64_t size = 0;
    uint64_t user_address = 0;  // where the front-end has it; ring addresses are given in these
    uint64_t file_offset = 0;
  };

  // All from address 0.
  static std::vector<Region> Flat(uint64_t size);

  // As q35 does: 640 KiB, the VGA hole, and the rest; the file has a hole where the guest has none.
  static std::vector<Region> AroundVgaHole(uint64_t size);

  // Two regions that touch in guest-physical space and lie apart, and swapped, in the file and in the front-end's
  // space: what is contiguous for the guest is so for nobody else. `boundary`: where the second begins.
  static std::vector<Region> Torn(uint64_t size, uint64_t boundary);

  // Regions with user_address 0 are given one.
  explicit SharedMemory(std::vector<Region> regions, bool allow_sealing = true);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  int fd() const { return fd_.get(); }
  const std::vector<Region>& regions() const { return regions_; }

  // The bytes at `gpa`; ends the test unless all `size` of them lie in one region.
  std::byte* At(uint64_t gpa, uint64_t size) const;
  uint64_t UserAddress(uint64_t gpa) const;

  // Copies from and to the guest, across regions.
  void Write(uint64_t gpa, const void* data, uint64_t size);
  void Read(uint64_t gpa, void* data, uint64_t size) const;

  // A piece of RAM that nobody else was given, aligned to pages and followed by a guard page of canaries.
  uint64_t Allocate(uint64_t size);

  // Where the next Allocate() begins at the earliest; at most one region's worth of addresses may be skipped.
  void SkipTo(uint64_t gpa) { next_ = gpa; }

  // Whether nobody wrote into a guard page. Otherwise `*where` says which.
  bool CanariesIntact(std::string* where) const;

  void Seal(int seals);
  void Truncate(uint64_t size);

  // Memory that was truncated away raises SIGBUS here as well: stop looking at it.
  bool usable() const { return usable_; }

 private:
  static constexpr uint64_t kPage = 4096;
  static constexpr std::byte kCanary{0xA5};

  const Region* Find(uint64_t gpa, uint64_t size) const;

  std::vector<Region> regions_;
  uint64_t file_size_ = 0;
  UniqueFd fd_;
  std::byte* base_ = nullptr;  // the whole file
  uint64_t next_ = 0;
  std::vector<uint64_t> guards_;
  bool usable_ = true;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_SHARED_MEMORY_H_
