// SPDX-License-Identifier: Apache-2.0
//
// The bytes that test streams carry. Every aligned 8 bytes name the stream they belong to and their place in it:
//
//     word(seed, i) = (seed * 2^36 + i) * K  mod 2^64,  little endian
//
// K is odd, so a word can be turned back into (seed, i). A receiver therefore does more than notice a wrong byte: it
// says which bytes of which stream came instead, and so tells loss, repetition, reordering and cross-delivery apart.
//
// Bounds: seeds below 2^28, streams below 2^39 bytes. Thread: any, no shared state.
#ifndef KINSOCK_TESTS_E2E_GUEST_PATTERN_H_
#define KINSOCK_TESTS_E2E_GUEST_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kinsock::guest {

// Writes the bytes of stream `seed` that start at byte `offset`.
void FillPattern(uint32_t seed, uint64_t offset, std::span<std::byte> out);

// Follows one received stream and explains the first things that are wrong with it.
class PatternChecker {
 public:
  explicit PatternChecker(uint32_t seed) : seed_(seed) {}

  // Takes the next received bytes. Cheap while they are right; keeps at most a few kilobytes while they are not.
  void Feed(std::span<const std::byte> received);

  // How many bytes were fed.
  uint64_t received() const { return received_; }

  // For streams that end when something breaks them.
  static constexpr uint64_t kAnyLength = ~uint64_t{0};

  // One line: "exact", or everything that went wrong, e.g. "lost 4096 bytes at offset 65536". `expected_bytes` is the
  // length the stream should have had.
  std::string Verdict(uint64_t expected_bytes) const;

 private:
  // A run of right bytes, in order of arrival. A good stream is one run.
  struct Run {
    uint64_t begin;
    uint64_t end;
  };

  void Resynchronise();
  void Continue(uint64_t offset);
  std::string DescribeRuns() const;

  uint32_t seed_;
  uint64_t received_ = 0;
  std::vector<Run> runs_ = {{0, 0}};
  std::vector<std::byte> stray_;  // bytes that do not continue the last run and are not recognised yet
  uint64_t corrupt_bytes_ = 0;
  uint64_t first_corrupt_ = 0;
  std::string alien_;  // what the bytes are that belong nowhere in this stream; the end of checking
};

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_PATTERN_H_
