// SPDX-License-Identifier: Apache-2.0
#include "device/driver_cid.h"

#include <gtest/gtest.h>

namespace kinsock {
namespace {

// A driver that was loaded when the VM had CID 3.
DriverCid Loaded() {
  DriverCid cid(3);
  cid.OnSession();
  cid.OnRead();
  cid.OnDriver();
  EXPECT_EQ(cid.driver(), 3u);
  EXPECT_FALSE(cid.may_be_former());
  return cid;
}

TEST(DriverCidTest, ADriverThatIsNotToldGoesByTheFormerOne) {
  DriverCid cid = Loaded();
  cid.OnChange(7);
  cid.OnRead();  // the VMM's copy is another; who was to tell the driver?
  EXPECT_EQ(cid.driver(), 3u);
  EXPECT_TRUE(cid.IsFormer(3));
  EXPECT_FALSE(cid.IsFormer(4));
  cid.OnDriverGone();
  EXPECT_EQ(cid.driver(), 0u);
  cid.OnDriver();
  EXPECT_EQ(cid.driver(), 7u) << "it was loaded anew";
}

TEST(DriverCidTest, ADriverThatIsToldReadsWhatTheFrontEndHas) {
  for (const bool reads_first : {true, false}) {
    DriverCid cid = Loaded();
    cid.OnChange(7);
    reads_first ? cid.OnRead() : cid.OnTold();
    EXPECT_EQ(cid.driver(), 3u);
    reads_first ? cid.OnTold() : cid.OnRead();
    EXPECT_EQ(cid.driver(), 7u);
  }
}

TEST(DriverCidTest, AFrontEndThatKeepsACopyKeepsTheDriverFromIt) {
  DriverCid cid = Loaded();
  cid.OnChange(7);
  cid.OnTold();
  EXPECT_EQ(cid.driver(), 3u);
  cid.OnDriverGone();
  cid.OnDriver();
  EXPECT_EQ(cid.driver(), 3u) << "what it was loaded with is the copy";
}

TEST(DriverCidTest, PacketsAreProof) {
  DriverCid cid = Loaded();
  cid.OnChange(7);
  EXPECT_FALSE(cid.OnFormer());
  cid.OnRead();
  cid.OnTold();
  EXPECT_EQ(cid.driver(), 7u);
  EXPECT_TRUE(cid.OnFormer()) << "it was not so";
  EXPECT_EQ(cid.driver(), 3u);
  EXPECT_TRUE(cid.OnPresent());
  EXPECT_EQ(cid.driver(), 7u);
  EXPECT_FALSE(cid.IsFormer(3)) << "it does not go back";
}

TEST(DriverCidTest, TwoChangesInARowLeaveItWhereItWas) {
  DriverCid cid = Loaded();
  cid.OnChange(7);
  cid.OnChange(8);
  EXPECT_EQ(cid.driver(), 3u);
  EXPECT_TRUE(cid.IsFormer(3));
  cid.OnRead();
  cid.OnTold();
  cid.OnChange(9);
  EXPECT_EQ(cid.driver(), 8u);
  EXPECT_TRUE(cid.IsFormer(8));
}

TEST(DriverCidTest, ADriverOfAnEarlierBackEndIsRecognised) {
  DriverCid cid(7, 3);
  cid.OnSession();
  cid.OnDriver();  // the session goes on where it was
  EXPECT_EQ(cid.driver(), 0u) << "who knows";
  EXPECT_TRUE(cid.IsFormer(3));
  EXPECT_TRUE(cid.OnFormer());
  EXPECT_EQ(cid.driver(), 3u);

  DriverCid never_changed(7);
  never_changed.OnSession();
  never_changed.OnDriver();
  EXPECT_EQ(never_changed.driver(), 7u) << "there was no other";
}

TEST(DriverCidTest, WithoutADriverThereIsNothingToTell) {
  DriverCid cid(3);
  cid.OnChange(7);
  EXPECT_EQ(cid.driver(), 0u);
  cid.OnSession();
  cid.OnRead();
  cid.OnDriver();
  EXPECT_EQ(cid.driver(), 7u);
}

}  // namespace
}  // namespace kinsock
