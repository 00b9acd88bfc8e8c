// SPDX-License-Identifier: Apache-2.0
#include "capture/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/virtio_vsock.h>

#include <string>
#include <vector>

#include "capture/filter_text.h"
#include "capture/point.h"
#include "router/vsock_header.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;

// A packet of CID 3 for port 22 of CID 4, as it leaves device 7 of network 1.
constexpr CapturePoint kPoint{.device = 7, .network = 1, .direction = CaptureDirection::kFromGuest};

VsockHeader Packet() {
  VsockHeader header{.src_cid = 3, .dst_cid = 4, .src_port = 1024, .dst_port = 22};
  header.op = VIRTIO_VSOCK_OP_RW;
  return header;
}

// Whether the filter that `text` is lets it pass; VMs are called as their devices are numbered, and networks too.
bool Passes(const std::string& text, const CapturePoint& point = kPoint, const VsockHeader& header = Packet()) {
  const absl::StatusOr<CaptureFilterText> parsed = CaptureFilterText::Parse(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (!parsed.ok()) return false;
  CaptureFilter filter;
  for (const CaptureFilter::Term& term : parsed->terms) filter.Add(term);
  for (const CaptureFilterText::Named& named : parsed->named) {
    CaptureFilter::Term term{.key = named.key, .negated = named.negated, .values = {}};
    for (const std::string& id : named.ids) term.values.push_back(std::stoull(id));
    filter.Add(std::move(term));
  }
  return filter.Matches(point, header);
}

TEST(CaptureFilterTest, EachKeyIsAboutItsPart) {
  struct Case {
    const char* passes;
    const char* does_not;
  };
  for (const Case& each : std::vector<Case>{{"vm=7", "vm=8"},
                                            {"vm=vms/7", "vm=vms/3"},
                                            {"network=1", "network=0"},
                                            {"network=networks/1", "network=7"},
                                            {"direction=from_guest", "direction=to_guest"},
                                            {"op=rw", "op=request"},
                                            {"cid=3", "cid=5"},
                                            {"cid=4", "cid=host"},
                                            {"src_cid=3", "src_cid=4"},
                                            {"dst_cid=4", "dst_cid=3"},
                                            {"port=22", "port=23"},
                                            {"port=1024", "port=4"},
                                            {"src_port=1024", "src_port=22"},
                                            {"dst_port=22", "dst_port=1024"}}) {
    EXPECT_TRUE(Passes(each.passes)) << each.passes;
    EXPECT_FALSE(Passes(each.does_not)) << each.does_not;
  }
}

TEST(CaptureFilterTest, AllTermsHoldAndOneValueIsEnough) {
  EXPECT_TRUE(Passes(""));
  EXPECT_TRUE(Passes("vm=7 port=22"));
  EXPECT_TRUE(Passes("vm=7 AND port=22"));
  EXPECT_FALSE(Passes("vm=7 port=23"));
  EXPECT_TRUE(Passes("port=80,443,22"));
  EXPECT_TRUE(Passes("op!=credit_update,credit_request"));
  EXPECT_FALSE(Passes("op!=credit_update,rw"));
  EXPECT_FALSE(Passes("cid!=4")) << "one end is";
}

TEST(CaptureFilterTest, TheHostIsACid) {
  VsockHeader header = Packet();
  header.dst_cid = 2;
  EXPECT_TRUE(Passes("dst_cid=host", kPoint, header));
  EXPECT_TRUE(Passes("cid=2", kPoint, header));
}

// A guest writes 64 bits: the lower half alone names nobody.
TEST(CaptureFilterTest, AllOfACidCounts) {
  VsockHeader header = Packet();
  header.dst_cid = (uint64_t{1} << 32) + 4;
  EXPECT_FALSE(Passes("dst_cid=4", kPoint, header));
}

TEST(CaptureFilterTest, WhatIsWrongIsSaidWithWhatWouldBeRight) {
  const auto fault = [](const std::string& text) {
    return std::string(CaptureFilterText::Parse(text).status().message());
  };
  EXPECT_THAT(fault("prot=1"), HasSubstr("\"prot\" is nothing to filter by; there are vm, network,"));
  EXPECT_THAT(fault("prot=1"), HasSubstr("did you mean \"port\"?"));
  EXPECT_THAT(fault("op=wr"), HasSubstr("\"wr\" is no op; there are request, response, rst,"));
  EXPECT_THAT(fault("direction=in"), HasSubstr("\"in\" is no direction; there are from_guest, to_guest"));
  EXPECT_THAT(fault("port=http"), HasSubstr("\"http\" is no port; give a number"));
  EXPECT_THAT(fault("port=4294967296"), HasSubstr("is no port"));
  EXPECT_THAT(fault("cid=-1"), HasSubstr("\"-1\" is no CID; give a number, or host"));
  EXPECT_THAT(fault("port"), HasSubstr("\"port\" is no term; write KEY=VALUE"));
  EXPECT_THAT(fault("port="), HasSubstr("is no term"));
  EXPECT_THAT(fault("=22"), HasSubstr("\"\" is nothing to filter by"));
  EXPECT_THAT(fault("port=22,,23"), HasSubstr("\"\" is no port"));
  EXPECT_THAT(fault(std::string(2000, 'x')), HasSubstr("has 2000 bytes, at most 1024 are taken"));
  std::string many = "port=1";
  for (int i = 0; i < 64; ++i) many += ",1";
  EXPECT_THAT(fault(many), HasSubstr("has more than 64 values"));
  EXPECT_THAT(fault("op=\x1b[2J"), HasSubstr("\\033[2J"));
}

TEST(CapturePointTest, IsFoundAgainByItsKey) {
  for (const CaptureDirection direction : {CaptureDirection::kFromGuest, CaptureDirection::kToGuest}) {
    for (const uint64_t device : {0u, 1u, 77u}) {
      const CapturePoint point = CapturePoint::OfKey(CapturePoint{.device = device, .direction = direction}.key());
      EXPECT_EQ(point.device, device);
      EXPECT_EQ(point.direction, direction);
    }
  }
}

}  // namespace
}  // namespace kinsock
