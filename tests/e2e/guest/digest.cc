// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/guest/digest.h"

#include <errno.h>
#include <linux/if_alg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tests/e2e/guest/report.h"

namespace kinsock::guest {
namespace {

constexpr size_t kSha256Bytes = 32;

[[noreturn]] void FailHere(const char* step) { Fail("sha256", {{"step", step}, {"errno", ErrnoName(errno)}}); }

}  // namespace

Digest::Digest(bool wanted) {
  if (!wanted) return;
  const sockaddr_alg algorithm = {
      .salg_family = AF_ALG, .salg_type = "hash", .salg_feat = 0, .salg_mask = 0, .salg_name = "sha256"};
  const int factory = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (factory < 0) FailHere("socket");
  if (bind(factory, reinterpret_cast<const sockaddr*>(&algorithm), sizeof(algorithm)) != 0) FailHere("bind");
  fd_ = accept4(factory, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd_ < 0) FailHere("accept");
  close(factory);
}

Digest::~Digest() {
  if (fd_ >= 0) close(fd_);
}

void Digest::Update(std::span<const std::byte> bytes) {
  while (fd_ >= 0 && !bytes.empty()) {
    const ssize_t taken = send(fd_, bytes.data(), bytes.size(), MSG_MORE);
    if (taken <= 0) FailHere("send");
    bytes = bytes.subspan(static_cast<size_t>(taken));
  }
}

std::string Digest::Finish() {
  if (fd_ < 0) return "-";
  std::array<unsigned char, kSha256Bytes> sum;
  if (recv(fd_, sum.data(), sum.size(), 0) != static_cast<ssize_t>(sum.size())) FailHere("recv");
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : sum) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

}  // namespace kinsock::guest
