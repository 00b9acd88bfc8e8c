// SPDX-License-Identifier: Apache-2.0
#include "capture/copy_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "router/vsock_header.h"

namespace kinsock {
namespace {

TEST(CopyPoolTest, SizesArePowersOfTwo) {
  EXPECT_EQ(CopyPool::SizeFor(1), CopyPool::kLeastBytes);
  EXPECT_EQ(CopyPool::SizeFor(256), 256u);
  EXPECT_EQ(CopyPool::SizeFor(257), 512u);
  EXPECT_EQ(CopyPool::SizeFor(kMaxPayloadBytes), kMaxPayloadBytes);
}

TEST(CopyPoolTest, WhatWasGivenBackIsUsedAgain) {
  CopyPool pool;
  CopyPool::Copy copy = pool.Take(1000);
  EXPECT_EQ(copy.size, 1024u);
  const char* const place = copy.bytes.get();
  pool.Give(std::move(copy));
  EXPECT_EQ(pool.idle_bytes(), 1024u);
  EXPECT_NE(pool.Take(2000).bytes.get(), place) << "that needs more";
  EXPECT_EQ(pool.Take(600).bytes.get(), place);
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(CopyPoolTest, NoMoreIsKeptThanItsBound) {
  CopyPool pool;
  std::vector<CopyPool::Copy> copies;
  for (size_t bytes = 0; bytes < 2 * CopyPool::kMaxIdleBytes; bytes += kMaxPayloadBytes) {
    copies.push_back(pool.Take(kMaxPayloadBytes));
  }
  for (CopyPool::Copy& copy : copies) pool.Give(std::move(copy));
  EXPECT_EQ(pool.idle_bytes(), CopyPool::kMaxIdleBytes);
  pool.Clear();
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

}  // namespace
}  // namespace kinsock
