// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_VIOLATIONS_H_
#define KINSOCK_TESTS_SUPPORT_VIOLATIONS_H_

#include <string>
#include <utility>
#include <vector>

namespace kinsock::testing {

// What the device did that the specifications forbid. The simulated guest keeps going, so that the test can tell
// the whole story; the fixture fails the test for every entry. One thread.
class Violations {
 public:
  // One broken device repeats itself: the first entries say it all.
  static constexpr size_t kKept = 20;

  void Add(std::string what) {
    ++count_;
    if (list_.size() < kKept) list_.push_back(std::move(what));
  }

  size_t count() const { return count_; }
  const std::vector<std::string>& list() const { return list_; }

  // For a test whose very subject is the violation: hands the list over and forgets it.
  std::vector<std::string> Take() {
    count_ = 0;
    return std::exchange(list_, {});
  }

 private:
  size_t count_ = 0;
  std::vector<std::string> list_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_VIOLATIONS_H_
