// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/pattern.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace kinsock::guest {
namespace {

constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio: odd, bits well mixed
constexpr int kIndexBits = 36;
constexpr uint64_t kIndexMask = (uint64_t{1} << kIndexBits) - 1;
constexpr size_t kWord = sizeof(uint64_t);

// Two consecutive whole words can be found at any alignment in this many bytes.
constexpr size_t kRecognisable = 3 * kWord;

// A stray run this long will not be recognised any more: the bytes are not ours.
constexpr size_t kGiveUp = 4096;

// More runs than this tell nobody anything new.
constexpr size_t kMaxRuns = 64;

constexpr uint64_t InverseModulo2To64(uint64_t odd) {
  uint64_t inverse = odd;  // Newton: each step doubles the number of right bits, starting with three
  for (int step = 0; step < 5; ++step) inverse *= 2 - odd * inverse;
  return inverse;
}
constexpr uint64_t kInverse = InverseModulo2To64(kMultiplier);
static_assert(kMultiplier * kInverse == 1);

uint64_t WordAt(uint32_t seed, uint64_t index) {
  return ((uint64_t{seed} << kIndexBits) | (index & kIndexMask)) * kMultiplier;
}

// How many leading bytes of `data` are those of the stream at `offset`.
size_t MatchingBytes(uint32_t seed, uint64_t offset, std::span<const std::byte> data) {
  size_t done = 0;
  if (offset % kWord == 0) {
    for (uint64_t word = WordAt(seed, offset / kWord); done + kWord <= data.size(); word += kMultiplier) {
      if (std::memcmp(&data[done], &word, kWord) != 0) break;
      done += kWord;
    }
  }
  while (done < data.size()) {
    const uint64_t at = offset + done;
    const uint64_t word = WordAt(seed, at / kWord);
    const size_t first = at % kWord;
    const size_t bytes = std::min(kWord - first, data.size() - done);
    const auto* right = reinterpret_cast<const std::byte*>(&word) + first;
    for (size_t i = 0; i < bytes; ++i) {
      if (data[done + i] != right[i]) return done + i;
    }
    done += bytes;
    if (at % kWord + bytes == kWord && data.size() - done >= kWord) {
      return done + MatchingBytes(seed, offset + done, data.subspan(done));
    }
  }
  return done;
}

struct Place {
  uint32_t seed;
  uint64_t offset;  // of data[0]
};

// Which stream, and where in it, `data` is a piece of.
std::optional<Place> Recognise(std::span<const std::byte> data) {
  for (size_t shift = 0; shift < kWord && shift + 2 * kWord <= data.size(); ++shift) {
    uint64_t words[2];
    std::memcpy(words, &data[shift], sizeof(words));
    const uint64_t first = words[0] * kInverse;
    if (words[1] * kInverse != first + 1) continue;
    const uint64_t offset = (first & kIndexMask) * kWord;
    if (offset < shift) continue;
    return Place{static_cast<uint32_t>(first >> kIndexBits), offset - shift};
  }
  return std::nullopt;
}

template <typename Run>
std::vector<Run> Sorted(std::span<const Run> runs) {
  std::vector<Run> sorted(runs.begin(), runs.end());
  std::sort(sorted.begin(), sorted.end(), [](const Run& a, const Run& b) { return a.begin < b.begin; });
  return sorted;
}

// How many bytes of `run` are in none of the `earlier` runs.
template <typename Run>
uint64_t FreshBytes(std::span<const Run> earlier, const Run& run) {
  uint64_t fresh = 0;
  uint64_t at = run.begin;
  for (const Run& known : Sorted(earlier)) {
    if (known.begin > at) fresh += std::min(known.begin, run.end) - at;
    at = std::max(at, known.end);
    if (at >= run.end) return fresh;
  }
  return fresh + (run.end - at);
}

std::string Number(uint64_t value) { return std::to_string(value); }

}  // namespace

void FillPattern(uint32_t seed, uint64_t offset, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t at = offset + done;
    uint64_t word = WordAt(seed, at / kWord);
    const size_t first = at % kWord;
    if (first == 0) {
      for (; done + kWord <= out.size(); done += kWord, word += kMultiplier) {
        std::memcpy(&out[done], &word, kWord);
      }
    }
    const size_t bytes = std::min(kWord - first, out.size() - done);
    std::memcpy(out.data() + done, reinterpret_cast<const std::byte*>(&word) + first, bytes);
    done += bytes;
  }
}

void PatternChecker::Feed(std::span<const std::byte> received) {
  received_ += received.size();
  if (!alien_.empty()) return;
  if (stray_.empty()) {
    const size_t right = MatchingBytes(seed_, runs_.back().end, received);
    runs_.back().end += right;
    received = received.subspan(right);
  }
  stray_.insert(stray_.end(), received.begin(), received.end());
  Resynchronise();
}

void PatternChecker::Resynchronise() {
  while (stray_.size() >= kRecognisable && alien_.empty()) {
    const uint64_t expected = runs_.back().end;
    const std::optional<Place> place = Recognise(stray_);
    if (!place && stray_.size() <= kGiveUp) return;
    if (!place) {
      alien_ = "corrupt bytes at offset " + Number(expected);
    } else if (place->seed != seed_) {
      alien_ = "bytes of stream " + Number(place->seed) + " (offset " + Number(place->offset) + ") came at offset " +
               Number(expected) + " of stream " + Number(seed_);
    } else if (runs_.size() == kMaxRuns) {
      alien_ = "nothing fits any more at offset " + Number(expected);
    } else {
      Continue(place->offset);
    }
  }
}

// The stray bytes are those of `offset`, but for a wrong byte in front.
void PatternChecker::Continue(uint64_t offset) {
  size_t taken = MatchingBytes(seed_, offset, stray_);
  if (taken == 0) {
    if (corrupt_bytes_++ == 0) first_corrupt_ = offset;
    taken = 1;
  }
  if (offset != runs_.back().end) runs_.push_back({offset, offset});
  runs_.back().end += taken;
  stray_.erase(stray_.begin(), stray_.begin() + static_cast<ptrdiff_t>(taken));
}

std::string PatternChecker::Verdict(uint64_t expected_bytes) const {
  std::string problems = DescribeRuns();
  const auto add = [&problems](const std::string& problem) { problems += (problems.empty() ? "" : "; ") + problem; };
  if (!alien_.empty()) add(alien_);
  if (corrupt_bytes_ > 0) add(Number(corrupt_bytes_) + " corrupt bytes from offset " + Number(first_corrupt_));
  if (alien_.empty() && !stray_.empty()) {
    add(Number(stray_.size()) + " corrupt bytes at offset " + Number(runs_.back().end));
  }
  if (expected_bytes != kAnyLength && received_ != expected_bytes) {
    add("received " + Number(received_) + " of " + Number(expected_bytes) + " bytes");
  }
  return problems.empty() ? "exact" : problems;
}

// Lost: never arrived, although something behind it did. Repeated: arrived before. Reordered: new, but behind
// something that belongs after it.
std::string PatternChecker::DescribeRuns() const {
  std::string text;
  const auto add = [&text](const std::string& problem) { text += (text.empty() ? "" : "; ") + problem; };
  uint64_t arrived = 0;
  for (size_t i = 0; i < runs_.size(); ++i) {
    const uint64_t bytes = runs_[i].end - runs_[i].begin;
    const uint64_t fresh = FreshBytes(std::span(runs_).first(i), runs_[i]);
    if (fresh < bytes) add("repeated " + Number(bytes - fresh) + " bytes at offset " + Number(runs_[i].begin));
    const Run behind = {runs_[i].begin, std::min(runs_[i].end, std::max(arrived, runs_[i].begin))};
    if (const uint64_t late = FreshBytes(std::span(runs_).first(i), behind); late > 0) {
      add("reordered " + Number(late) + " bytes at offset " + Number(behind.begin));
    }
    arrived = std::max(arrived, runs_[i].end);
  }
  uint64_t whole_until = 0;
  for (const Run& run : Sorted(std::span(runs_))) {
    if (run.begin > whole_until)
      add("lost " + Number(run.begin - whole_until) + " bytes at offset " + Number(whole_until));
    whole_until = std::max(whole_until, run.end);
  }
  return text;
}

}  // namespace kinsock::guest
