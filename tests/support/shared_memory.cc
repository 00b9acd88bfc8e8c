// SPDX-License-Identifier: Apache-2.0
#include "tests/support/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/support/require.h"

namespace kinsock::testing {
namespace {

constexpr uint64_t kVgaHole = 0xa0000;
constexpr uint64_t kVgaHoleEnd = 0xc0000;

// Where regions appear in the front-end's address space. Nobody dereferences these; they are far from both
// guest-physical and real addresses so that mixing them up cannot work by accident.
constexpr uint64_t kUserBase = 0x7f80'0000'0000;
constexpr uint64_t kUserGap = 0x10'0000'0000;

}  // namespace

std::vector<SharedMemory::Region> SharedMemory::Flat(uint64_t size) { return {{0, size, 0, 0}}; }

std::vector<SharedMemory::Region> SharedMemory::AroundVgaHole(uint64_t size) {
  // One mapping in the front-end, the hole included: user addresses keep the distance.
  return {{0, kVgaHole, kUserBase, 0}, {kVgaHoleEnd, size - kVgaHoleEnd, kUserBase + kVgaHoleEnd, kVgaHoleEnd}};
}

std::vector<SharedMemory::Region> SharedMemory::Torn(uint64_t size, uint64_t boundary) {
  return {{0, boundary, kUserBase + kUserGap, size - boundary}, {boundary, size - boundary, kUserBase, 0}};
}

SharedMemory::SharedMemory(std::vector<Region> regions, bool allow_sealing)
    : regions_(std::move(regions)),
      fd_(memfd_create("guest-ram", MFD_CLOEXEC | (allow_sealing ? MFD_ALLOW_SEALING : 0U))) {
  Require(fd_.valid(), "no memfd for the guest's memory");
  uint64_t user_address = kUserBase;
  for (Region& region : regions_) {
    if (region.user_address == 0) region.user_address = user_address;
    user_address += kUserGap;
    file_size_ = std::max(file_size_, region.file_offset + region.size);
  }
  Require(ftruncate(fd_.get(), static_cast<off_t>(file_size_)) == 0, "the guest's memory cannot be sized");
  void* base = mmap(nullptr, file_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  Require(base != MAP_FAILED, "the guest's memory cannot be mapped");
  base_ = static_cast<std::byte*>(base);
  next_ = regions_.front().gpa + kPage;  // address 0 stays unused: a null address must not work
}

SharedMemory::~SharedMemory() { munmap(base_, file_size_); }

const SharedMemory::Region* SharedMemory::Find(uint64_t gpa, uint64_t size) const {
  for (const Region& region : regions_) {
    if (gpa >= region.gpa && size <= region.size && gpa - region.gpa <= region.size - size) return &region;
  }
  return nullptr;
}

std::byte* SharedMemory::At(uint64_t gpa, uint64_t size) const {
  const Region* region = Find(gpa, size);
  Require(region != nullptr, "a test used an address outside of its guest's memory");
  return base_ + region->file_offset + (gpa - region->gpa);
}

uint64_t SharedMemory::UserAddress(uint64_t gpa) const {
  const Region* region = Find(gpa, 1);
  Require(region != nullptr, "a test asked for the user address of no memory");
  return region->user_address + (gpa - region->gpa);
}

void SharedMemory::Write(uint64_t gpa, const void* data, uint64_t size) {
  const auto* from = static_cast<const std::byte*>(data);
  while (size > 0) {
    const Region* region = Find(gpa, 1);
    Require(region != nullptr, "a test wrote outside of its guest's memory");
    const uint64_t piece = std::min(size, region->gpa + region->size - gpa);
    std::memcpy(At(gpa, piece), from, piece);
    gpa += piece, from += piece, size -= piece;
  }
}

void SharedMemory::Read(uint64_t gpa, void* data, uint64_t size) const {
  auto* to = static_cast<std::byte*>(data);
  while (size > 0) {
    const Region* region = Find(gpa, 1);
    Require(region != nullptr, "a test read outside of its guest's memory");
    const uint64_t piece = std::min(size, region->gpa + region->size - gpa);
    std::memcpy(to, At(gpa, piece), piece);
    gpa += piece, to += piece, size -= piece;
  }
}

uint64_t SharedMemory::Allocate(uint64_t size) {
  const uint64_t whole = (size + kPage - 1) / kPage * kPage + kPage;
  for (const Region& region : regions_) {
    const uint64_t start = std::max((next_ + kPage - 1) / kPage * kPage, region.gpa);
    if (Find(start, whole) != &region) continue;
    next_ = start + whole;
    guards_.push_back(next_ - kPage);
    std::memset(At(guards_.back(), kPage), static_cast<int>(kCanary), kPage);
    return start;
  }
  Require(false, "the guest's memory is used up: give the guest more");
  return 0;
}

bool SharedMemory::CanariesIntact(std::string* where) const {
  if (!usable_) return true;
  for (const uint64_t guard : guards_) {
    const std::byte* page = At(guard, kPage);
    const std::byte* hurt = std::find_if(page, page + kPage, [](std::byte b) { return b != kCanary; });
    if (hurt == page + kPage) continue;
    *where = "somebody wrote to guest-physical address " + std::to_string(guard + static_cast<uint64_t>(hurt - page)) +
             ", which was offered to nobody";
    return false;
  }
  return true;
}

void SharedMemory::Seal(int seals) {
  Require(fcntl(fd_.get(), F_ADD_SEALS, seals) == 0, "the guest's memory cannot be sealed");
}

void SharedMemory::Truncate(uint64_t size) {
  Require(ftruncate(fd_.get(), static_cast<off_t>(size)) == 0, "the guest's memory cannot be truncated");
  usable_ = size >= file_size_;
}

}  // namespace kinsock::testing
