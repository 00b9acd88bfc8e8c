// SPDX-License-Identifier: Apache-2.0
#include "tests/support/traffic.h"

#include <algorithm>
#include <span>
#include <utility>

#include "tests/support/require.h"

namespace kinsock::testing {

void Outgoing::Append(std::string_view text) {
  if (text.empty()) return;
  Piece piece;
  piece.text = text;
  piece.size = text.size();
  pieces_.push_back(std::move(piece));
  size_ += text.size();
}

void Outgoing::AppendPattern(uint32_t seed, uint64_t size) {
  if (size == 0) return;
  if (seed != last_seed_) last_offset_ = 0;
  Piece piece;
  piece.seed = seed;
  piece.offset = last_offset_;
  piece.size = size;
  pieces_.push_back(std::move(piece));
  last_seed_ = seed;
  last_offset_ += size;
  size_ += size;
}

std::string Outgoing::Take(uint64_t limit) {
  std::string taken;
  while (taken.size() < limit && !pieces_.empty()) {
    Piece& piece = pieces_.front();
    const uint64_t part = std::min(limit - taken.size(), piece.size);
    if (!piece.text.empty()) {
      taken.append(piece.text, 0, part);
      piece.text.erase(0, part);
    } else {
      const size_t start = taken.size();
      taken.resize(start + part);
      guest::FillPattern(piece.seed, piece.offset, std::as_writable_bytes(std::span(taken).subspan(start)));
      piece.offset += part;
    }
    piece.size -= part;
    if (piece.size == 0) pieces_.pop_front();
  }
  size_ -= taken.size();
  return taken;
}

void Outgoing::PutBack(std::string rest) {
  if (rest.empty()) return;
  size_ += rest.size();
  Piece piece;
  piece.size = rest.size();
  piece.text = std::move(rest);
  pieces_.push_front(std::move(piece));
}

void Incoming::ExpectPattern(uint32_t seed) {
  Require(size_ == 0, "a pattern is expected from the first byte on or not at all");
  pattern_ = std::make_unique<guest::PatternChecker>(seed);
}

void Incoming::Feed(std::string_view bytes) {
  size_ += bytes.size();
  if (pattern_) {
    pattern_->Feed(std::as_bytes(std::span(bytes)));
  } else {
    text_.append(bytes);
  }
}

std::string Incoming::Verdict(uint64_t expected_size) const {
  return pattern_ ? pattern_->Verdict(expected_size) : "no pattern was expected";
}

}  // namespace kinsock::testing
