// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 of a stream, computed by the guest's kernel (AF_ALG), so that no cryptography is written here.
#ifndef KINSOCK_TESTS_E2E_GUEST_DIGEST_H_
#define KINSOCK_TESTS_E2E_GUEST_DIGEST_H_

#include <cstddef>
#include <span>
#include <string>

namespace kinsock::guest {

// Does nothing and costs nothing when not wanted.
class Digest {
 public:
  explicit Digest(bool wanted);
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  ~Digest();

  void Update(std::span<const std::byte> bytes);

  // Lower-case hexadecimal, "-" when not wanted. Nothing may be added after it.
  std::string Finish();

 private:
  int fd_ = -1;
};

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_DIGEST_H_
