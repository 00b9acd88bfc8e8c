// SPDX-License-Identifier: Apache-2.0
#include "web/cpu_share.h"

#include <gtest/gtest.h>

namespace kinsock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A thread that works at a tenth of a second's grain, and is asked before each piece of work.
class Worker {
 public:
  // How many of `pieces`, one after the other, each of which takes so much of a processor, were let through.
  int Work(int pieces, milliseconds each, milliseconds pause) {
    int done = 0;
    for (int i = 0; i < pieces; ++i) {
      now_ += pause;
      if (!share_.HasRoom(now_, spent_)) continue;
      ++done;
      spent_ += each;
      now_ += each;
    }
    return done;
  }

 private:
  CpuShare share_{0.25, milliseconds(1000)};
  MonotonicTime now_{seconds(1000)};
  std::chrono::nanoseconds spent_{seconds(50)};
};

TEST(CpuShareTest, LittleWorkIsNeverHeldBack) {
  Worker worker;
  EXPECT_EQ(worker.Work(1000, milliseconds(20), milliseconds(80)), 1000);
}

TEST(CpuShareTest, MoreThanItsShareIsHeldBackToIt) {
  Worker worker;
  // Pieces of 100 ms, one after the other; one that is refused takes a millisecond.
  const int done = worker.Work(100'000, milliseconds(100), milliseconds(1));
  const double worked = done * 0.1;
  const double passed = worked + 100.0;
  EXPECT_NEAR(worked, 1.0 + passed * 0.25, 1.0) << "a second at once, and a quarter of the time";
}

TEST(CpuShareTest, ALongPieceOfWorkIsNotHeldAgainstItForEver) {
  Worker worker;
  EXPECT_EQ(worker.Work(1, seconds(100), milliseconds(0)), 1);
  EXPECT_EQ(worker.Work(1, milliseconds(1), seconds(1)), 0);
  // At most the burst is owed, which four times as much time pays.
  EXPECT_EQ(worker.Work(1, milliseconds(1), seconds(5)), 1);
}

}  // namespace
}  // namespace kinsock
