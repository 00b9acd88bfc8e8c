// SPDX-License-Identifier: Apache-2.0
#include "device/guest_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "device/guest_fault.h"

namespace kinsock {
namespace {

constexpr uint64_t kPage = 4096;

UniqueFd File(uint64_t bytes, unsigned flags = MFD_CLOEXEC) {
  UniqueFd fd(memfd_create("guest", flags));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  return fd;
}

MemoryRegionSpec Region(uint64_t guest, uint64_t size, uint64_t offset = 0, uint64_t file_bytes = 1 << 20) {
  return {.guest_address = guest,
          .size = size,
          .user_address = guest + 0x7000'0000'0000,
          .mmap_offset = offset,
          .fd = File(file_bytes)};
}

std::vector<MemoryRegionSpec> List(MemoryRegionSpec one) {
  std::vector<MemoryRegionSpec> specs;
  specs.push_back(std::move(one));
  return specs;
}

std::vector<MemoryRegionSpec> List(MemoryRegionSpec one, MemoryRegionSpec two) {
  std::vector<MemoryRegionSpec> specs = List(std::move(one));
  specs.push_back(std::move(two));
  return specs;
}

class GuestMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override { GuestFaultGuard::Install(); }
};

TEST_F(GuestMemoryTest, AnAccessMayCrossRegionsThatMeet) {
  auto memory = GuestMemory::Create(List(Region(0x2000, 0x1000), Region(0x1000, 0x1000)));
  ASSERT_TRUE(memory.ok()) << memory.status();
  ScatterList found;
  EXPECT_TRUE((*memory)->Translate(0x1ff0, 0x20, found));
  EXPECT_EQ(found.segments().size(), 2u);
  EXPECT_EQ(found.size(), 0x20u);
  EXPECT_EQ((*memory)->Contiguous(0x1ff0, 0x20), nullptr);
  EXPECT_NE((*memory)->Contiguous(0x1ff0, 0x10), nullptr);
}

TEST_F(GuestMemoryTest, AnAccessAcrossAHoleIsRefused) {
  auto memory = GuestMemory::Create(List(Region(0x1000, 0x1000), Region(0x3000, 0x1000)));
  ASSERT_TRUE(memory.ok());
  for (const auto& [address, size] : std::vector<std::pair<uint64_t, uint32_t>>{
           {0x1ff0, 0x11}, {0x2000, 1}, {0x2fff, 2}, {0x3fff, 2}, {0, 1}, {0xfff, 2}, {~uint64_t{0}, 2}}) {
    ScatterList found;
    EXPECT_FALSE((*memory)->Translate(address, size, found)) << address;
  }
}

TEST_F(GuestMemoryTest, UserAddressesFindTheSameBytes) {
  auto memory = GuestMemory::Create(List(Region(0x1000, 0x1000)));
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ((*memory)->ContiguousUser(0x7000'0000'1010, 16), (*memory)->Contiguous(0x1010, 16));
  EXPECT_EQ((*memory)->ContiguousUser(0x1010, 16), nullptr);
}

TEST_F(GuestMemoryTest, AnOffsetInTheFileNeedNotBeAligned) {
  UniqueFd file = File(1 << 20);
  ASSERT_EQ(pwrite(file.get(), "here", 4, 0x1234), 4);
  MemoryRegionSpec spec = Region(0x1000, 0x1000, 0x1234);
  spec.fd = std::move(file);
  auto memory = GuestMemory::Create(List(std::move(spec)));
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(std::memcmp((*memory)->Contiguous(0x1000, 4), "here", 4), 0);
}

TEST_F(GuestMemoryTest, RegionsComeAndGoOneByOne) {
  auto one = GuestMemory::Create(List(Region(0x1000, 0x1000)));
  ASSERT_TRUE(one.ok());
  auto two = (*one)->With(Region(0x5000, 0x1000));
  ASSERT_TRUE(two.ok());
  EXPECT_EQ((*two)->Contiguous(0x1000, 8), (*one)->Contiguous(0x1000, 8));  // the same mapping
  EXPECT_FALSE((*two)->With(Region(0x5800, 0x1000)).ok());
  EXPECT_FALSE((*two)->Without(0x5000, 0x800, 0x7000'0000'5000).ok());
  auto left = (*two)->Without(0x1000, 0x1000, 0x7000'0000'1000);
  ASSERT_TRUE(left.ok());
  EXPECT_EQ((*left)->Contiguous(0x1000, 8), nullptr);
  EXPECT_NE((*left)->Contiguous(0x5000, 8), nullptr);
}

TEST_F(GuestMemoryTest, WhatCannotBeServedIsRefusedWithAReason) {
  const auto refused = [](MemoryRegionSpec spec) {
    return std::string(GuestMemory::Create(List(std::move(spec))).status().message());
  };
  EXPECT_NE(refused(Region(0x1000, 0)).find("empty"), std::string::npos);
  EXPECT_NE(refused(Region(~uint64_t{0} - kPage, 2 * kPage)).find("wraps"), std::string::npos);
  EXPECT_NE(refused(Region(0x1000, kPage, ~uint64_t{0} - 10)).find("wraps"), std::string::npos);
  EXPECT_NE(refused(Region(0x1000, kPage, 0, kPage - 1)).find("ends behind its file"), std::string::npos);
  EXPECT_NE(refused(Region(0x1000, kPage, kPage, kPage)).find("ends behind its file"), std::string::npos);
  MemoryRegionSpec without_fd = Region(0x1000, kPage);
  without_fd.fd.reset();
  EXPECT_NE(refused(std::move(without_fd)).find("no file descriptor"), std::string::npos);
  MemoryRegionSpec pipe_fd = Region(0x1000, kPage);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  pipe_fd.fd.reset(ends[0]);
  const UniqueFd other(ends[1]);
  EXPECT_NE(refused(std::move(pipe_fd)).find("not a memfd"), std::string::npos);
}

TEST_F(GuestMemoryTest, OverlappingRegionsAreRefused) {
  EXPECT_FALSE(GuestMemory::Create(List(Region(0x1000, 0x2000), Region(0x2000, 0x1000))).ok());
}

// hazard: a front-end truncates the file under us.
TEST_F(GuestMemoryTest, MemoryThatGoesAwayReadsAsZeroAndIsNoticed) {
  UniqueFd file = File(4 * kPage);  // without MFD_ALLOW_SEALING: we cannot forbid it
  const UniqueFd keeper(dup(file.get()));
  MemoryRegionSpec spec = Region(0x1000, 4 * kPage);
  spec.fd = std::move(file);
  auto memory = GuestMemory::Create(List(std::move(spec)));
  ASSERT_TRUE(memory.ok()) << memory.status();
  std::memset((*memory)->Contiguous(0x1000, 4 * kPage), 0x5a, 4 * kPage);
  EXPECT_FALSE((*memory)->faulted());

  ASSERT_EQ(ftruncate(keeper.get(), kPage), 0);
  volatile char* gone = reinterpret_cast<char*>((*memory)->Contiguous(0x1000 + 2 * kPage, 8));
  EXPECT_EQ(*gone, 0);
  *gone = 1;
  EXPECT_TRUE((*memory)->faulted());
}

TEST_F(GuestMemoryTest, ShrinkingIsForbiddenWhereTheFileAllowsSeals) {
  UniqueFd file = File(4 * kPage, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const UniqueFd keeper(dup(file.get()));
  MemoryRegionSpec spec = Region(0x1000, 4 * kPage);
  spec.fd = std::move(file);
  auto memory = GuestMemory::Create(List(std::move(spec)));
  ASSERT_TRUE(memory.ok());
  EXPECT_NE(ftruncate(keeper.get(), kPage), 0);
}

}  // namespace
}  // namespace kinsock
