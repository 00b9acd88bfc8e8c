// SPDX-License-Identifier: Apache-2.0
//
// From a thread that moves packets to a file that tshark reads.
#include "capture/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/virtio_vsock.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/event_loop.h"
#include "base/scatter_list.h"
#include "capture/point.h"
#include "capture/tap.h"
#include "capture/writer.h"
#include "router/vsock_header.h"
#include "tests/capture/capture_contents.h"
#include "tests/capture/tshark.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using testing::Capinfos;
using testing::CaptureContents;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::TempDir;
using testing::Tshark;
using Progress = CaptureReader::Progress;

constexpr CapturePoint kFromWeb{.device = 1, .direction = CaptureDirection::kFromGuest};
constexpr CapturePoint kToDb{.device = 2, .direction = CaptureDirection::kToGuest};

VsockHeader Packet(uint16_t op, uint32_t len = 0) {
  VsockHeader header{.src_cid = 3, .dst_cid = 4, .src_port = 1024, .dst_port = 5000};
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  header.op = op;
  header.len = len;
  header.buf_alloc = 262144;
  header.fwd_cnt = 17;
  return header;
}

// What passes here, as the data plane says it.
void Move(const CapturePoint& point, const VsockHeader& header, std::string payload = "") {
  CaptureTap* const tap = CaptureTap::Active();
  if (tap == nullptr) return;
  ScatterList list;
  list.Append(payload.data(), payload.size());
  tap->Reserve(point, header, header.len);
  tap->Fill(point, header, header.len, list, 0, static_cast<uint32_t>(payload.size()));
}

// One capture on this thread.
class CaptureTest : public ::testing::Test {
 protected:
  ~CaptureTest() override {
    if (session_ != nullptr) CaptureTap::Detach(*session_);
  }

  void Begin(std::unique_ptr<CaptureWriter> writer, uint32_t payload_bytes = 0, CaptureReader::Limits limits = {}) {
    session_ = std::make_shared<CaptureSession>(CaptureFilter(), payload_bytes, 1, nullptr);
    CaptureTap::Attach(session_, 0);
    reader_ = std::make_unique<CaptureReader>(session_, std::move(writer), limits);
    reader_->Begin(file_);
    reader_->Name(kFromWeb.key(), {.name = "web:from_guest", .description = "what web sends"});
    reader_->Name(kToDb.key(),
                  {.name = "db:to_guest", .description = "what db gets", .direction = CaptureDirection::kToGuest});
  }

  CaptureContents Contents() const {
    CaptureContents contents = testing::ReadCapture(file_);
    EXPECT_EQ(contents.fault, "");
    return contents;
  }

  Progress Read() { return reader_->Read(SIZE_MAX, file_); }

  const TempDir dir_;
  std::shared_ptr<CaptureSession> session_;
  std::unique_ptr<CaptureReader> reader_;
  std::string file_;
};

TEST_F(CaptureTest, NothingIsSeenWhileNobodyCaptures) {
  EXPECT_EQ(CaptureTap::Active(), nullptr);
  Begin(MakePcapWriter(CaptureWriter::kHeaderBytes));
  EXPECT_NE(CaptureTap::Active(), nullptr);
  std::thread([] { EXPECT_EQ(CaptureTap::Active(), nullptr) << "each thread has its own"; }).join();
  CaptureTap::Detach(*session_);
  EXPECT_EQ(CaptureTap::Active(), nullptr);
}

class CaptureFormatTest : public CaptureTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Formats, CaptureFormatTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "pcapng" : "pcap"; });

TEST_P(CaptureFormatTest, TsharkReadsEachKindOfPacket) {
  Begin(GetParam() ? MakePcapngWriter(CaptureWriter::kMaxPacketBytes, "kinsock")
                   : MakePcapWriter(CaptureWriter::kMaxPacketBytes),
        64);
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_REQUEST));
  Move(kToDb, Packet(VIRTIO_VSOCK_OP_RESPONSE));
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 5), "hello");
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE));
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_SHUTDOWN));
  Move(kToDb, Packet(VIRTIO_VSOCK_OP_RST));
  Move(kFromWeb, Packet(77));
  EXPECT_EQ(Read(), Progress::kDrained);
  EXPECT_TRUE(reader_->AddStatistics(file_));
  EXPECT_EQ(reader_->packets(), 7u);
  const std::vector<std::string> fields{"vsock.src_cid",
                                        "vsock.src_port",
                                        "vsock.dst_cid",
                                        "vsock.dst_port",
                                        "vsock.op",
                                        "vsock.virtio.op",
                                        "vsock.virtio.len",
                                        "vsock.virtio.buf_alloc",
                                        "vsock.payload",
                                        "frame.len",
                                        "frame.interface_name",
                                        "frame.interface_description",
                                        "frame.packet_flags_direction"};
  const auto line = [](int op, int virtio_op, bool to_db = false) {
    const bool rw = virtio_op == VIRTIO_VSOCK_OP_RW;
    const std::string interface =
        to_db ? "db:to_guest|what db gets|0x00000001" : "web:from_guest|what web sends|0x00000002";
    return absl::StrCat("3|1024|4|5000|", op, "|", virtio_op, rw ? "|5|262144|68656c6c6f|81|" : "|0|262144||76|",
                        GetParam() ? interface : "||");
  };
  EXPECT_THAT(Tshark(file_, fields, dir_.path()), ElementsAre(line(1, 1), line(1, 2, true), line(4, 5), line(3, 6),
                                                              line(2, 4), line(2, 3, true), line(0, 77)));
  // What tests read by themselves is the same.
  const CaptureContents contents = Contents();
  EXPECT_THAT(contents.Lines(), ElementsAre("3:4:5000 op 1", "3:4:5000 op 2", "3:4:5000 op 5", "3:4:5000 op 6",
                                            "3:4:5000 op 4", "3:4:5000 op 3", "3:4:5000 op 77"));
  EXPECT_EQ(contents.packets[2].payload, "hello");
  EXPECT_EQ(contents.packets[2].kind, 4);
  if (!GetParam()) return;
  EXPECT_THAT(contents.Interfaces(), ::testing::Contains("db:to_guest").Times(2));
  EXPECT_EQ(contents.counts.at("web:from_guest").seen, 5u);
  const std::string told = Capinfos(file_, dir_.path());
  EXPECT_THAT(told, HasSubstr("Linux vsock"));
  EXPECT_THAT(told, HasSubstr("Number of interfaces in file: 2"));
  EXPECT_THAT(told, HasSubstr("Number of stat entries = 1"));
}

TEST_F(CaptureTest, StatisticsAreToldWhenTheyAreNew) {
  Begin(MakePcapngWriter(CaptureWriter::kHeaderBytes, "kinsock"));
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_REQUEST));
  Read();
  EXPECT_TRUE(reader_->AddStatistics(file_));
  EXPECT_EQ(Contents().counts.size(), 1u);
  const size_t before = file_.size();
  EXPECT_TRUE(reader_->AddStatistics(file_));
  EXPECT_EQ(file_.size(), before);
}

TEST_F(CaptureTest, WhatIsLostIsCountedWhereItWas) {
  Begin(MakePcapngWriter(CaptureWriter::kHeaderBytes, "kinsock"));
  uint64_t moved = 0;
  for (; session_->lost() == 0; ++moved) Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW));
  Move(kToDb, Packet(VIRTIO_VSOCK_OP_RW));
  Move(kToDb, Packet(VIRTIO_VSOCK_OP_RW));
  EXPECT_EQ(session_->lost(), 3u);
  EXPECT_EQ(Read(), Progress::kDrained);
  EXPECT_EQ(reader_->packets(), moved - 1);
  EXPECT_TRUE(reader_->AddStatistics(file_));
  const CaptureContents contents = Contents();
  EXPECT_EQ(contents.counts.at("web:from_guest").seen, moved);
  EXPECT_EQ(contents.counts.at("web:from_guest").lost, 1u);
  EXPECT_EQ(contents.counts.at("db:to_guest").seen, 2u);
  EXPECT_EQ(contents.counts.at("db:to_guest").lost, 2u);
  // There is room again.
  Move(kToDb, Packet(VIRTIO_VSOCK_OP_RW));
  EXPECT_EQ(session_->lost(), 3u);
}

TEST_F(CaptureTest, APointWithoutANameWaitsForOne) {
  Begin(MakePcapngWriter(CaptureWriter::kHeaderBytes, "kinsock"));
  const CapturePoint stranger{.device = 9, .direction = CaptureDirection::kFromGuest};
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW));
  Move(stranger, Packet(VIRTIO_VSOCK_OP_RST));
  EXPECT_EQ(Read(), Progress::kNeedsNames);
  EXPECT_THAT(reader_->unnamed(), ElementsAre(stranger.key()));
  reader_->Name(stranger.key(), {.name = "late:from_guest", .description = ""});
  EXPECT_EQ(Read(), Progress::kDrained);
  EXPECT_THAT(Contents().Interfaces(), ElementsAre("web:from_guest", "late:from_guest"));
}

TEST_F(CaptureTest, SnapLengthCutsPayloadAndSaysHowMuchThereWas) {
  Begin(MakePcapWriter(CaptureWriter::kHeaderBytes + 4), 4);
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 10), "0123456789");
  Read();
  const CaptureContents contents = Contents();
  EXPECT_THAT(contents.Payloads(), ElementsAre("0123"));
  EXPECT_EQ(contents.packets[0].length, 86u);
  EXPECT_EQ(session_->cut(), 0u);
}

TEST_F(CaptureTest, PayloadThatIsNotThereIsCounted) {
  Begin(MakePcapWriter(CaptureWriter::kMaxPacketBytes), 100);
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 10), "");
  EXPECT_EQ(session_->cut(), 1u);
}

// Whoever would have to copy payload first is told that it is in vain.
TEST_F(CaptureTest, PayloadIsWantedOnlyIfThereIsRoom) {
  Begin(MakePcapWriter(CaptureWriter::kMaxPacketBytes), 100);
  CaptureTap& tap = *CaptureTap::Active();
  const VsockHeader packet = Packet(VIRTIO_VSOCK_OP_RW, 10);
  EXPECT_EQ(tap.Reserve(kFromWeb, Packet(VIRTIO_VSOCK_OP_RST), 0), 0u) << "it has none";
  EXPECT_EQ(tap.Reserve(kFromWeb, packet, 10), 10u);
  EXPECT_EQ(tap.Reserve(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 500), 500), 100u);
  uint64_t moved = 0;
  while (session_->lost() == 0) {
    Move(kFromWeb, packet, "0123456789");
    ++moved;
  }
  EXPECT_EQ(tap.Reserve(kFromWeb, packet, 10), 0u);
  Move(kFromWeb, packet, "0123456789");
  EXPECT_EQ(session_->lost(), 3u);
  EXPECT_EQ(session_->cut(), 0u) << "it is lost, not cut";

  // Of two captures one has room, and gets it.
  const auto headers = std::make_shared<CaptureSession>(CaptureFilter(), 4, 1, nullptr);
  CaptureTap::Attach(headers, 0);
  EXPECT_EQ(tap.Reserve(kFromWeb, packet, 10), 4u);
  Move(kFromWeb, packet, "0123456789");
  CaptureTap::Detach(*headers);
  EXPECT_FALSE(headers->lane(0).ring().Front().empty());

  Read();
  EXPECT_THAT(Contents().packets, SizeIs(moved - 1));
  EXPECT_EQ(tap.Reserve(kFromWeb, packet, 10), 10u);
}

TEST_F(CaptureTest, EndsAtSoManyPackets) {
  Begin(MakePcapWriter(CaptureWriter::kHeaderBytes), 0, {.packets = 2});
  for (int i = 0; i < 3; ++i) Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW));
  EXPECT_EQ(Read(), Progress::kFull);
  EXPECT_EQ(Read(), Progress::kFull);
  EXPECT_THAT(Contents().packets, SizeIs(2));
}

TEST_F(CaptureTest, EndsBeforeSoManyBytes) {
  Begin(MakePcapWriter(CaptureWriter::kHeaderBytes), 0, {.bytes = 24 + 2 * (16 + 76) + 10});
  for (int i = 0; i < 3; ++i) Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW));
  EXPECT_EQ(Read(), Progress::kFull);
  EXPECT_EQ(file_.size(), 24u + 2 * (16 + 76));
}

// The headers are those of the specification, byte by byte; the payload is not theirs to know.
TEST_F(CaptureTest, ThePacketIsWhatLinuxMonitorMakes) {
  Begin(MakePcapWriter(CaptureWriter::kHeaderBytes));
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 5), "hello");
  Read();
  const std::string packet = file_.substr(24 + 16);
  ASSERT_THAT(packet, SizeIs(76));
  const std::string monitor("\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\0\4\0\0\x88\x13\0\0\4\0\2\0\x2c\0\0\0", 32);
  EXPECT_EQ(packet.substr(0, 32), monitor);
  EXPECT_EQ(packet.substr(32 + 24, 4), std::string("\5\0\0\0", 4)) << "len";
  EXPECT_EQ(packet.substr(32 + 30, 2), std::string("\5\0", 2)) << "op";
}

// Also when one packet is all that it takes, as in the small lanes of many reactors.
TEST(CaptureWakeTest, ALaneThatFillsUpWakesItsReaderEachTime) {
  EventLoop loop;
  int woken = 0;
  const auto wakeup = Wakeup::Create(loop, [&] { ++woken; });
  const auto session = std::make_shared<CaptureSession>(CaptureFilter(), kMaxPayloadBytes, 64, wakeup);
  CaptureTap::Attach(session, 0);
  Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RST));
  loop.RunOnce();
  EXPECT_EQ(woken, 0) << "there is not enough";
  RecordRing& lane = session->lane(0).ring();
  const size_t enough = lane.capacity() / CaptureSession::kWakeAt;
  for (int round = 1; round <= 3; ++round) {
    for (int packet = 0; packet < 2; ++packet) {
      while (lane.Used(enough) < enough) Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RW, 65536), std::string(65536, 'x'));
      Move(kFromWeb, Packet(VIRTIO_VSOCK_OP_RST));
    }
    loop.RunOnce();
    EXPECT_EQ(woken, round);
    while (!lane.Front().empty()) lane.Pop();
  }
  CaptureTap::Detach(*session);
}

// One thread that plays two, so that it is known what was first.
TEST(CaptureThreadsTest, PacketsOfSeveralLanesStandByTheirTimes) {
  constexpr uint32_t kPackets = 300;  // more than are taken from a lane at once
  const auto session = std::make_shared<CaptureSession>(CaptureFilter(), 0, 3, nullptr);
  for (uint32_t packet = 0; packet < kPackets; ++packet) {
    // Long runs of the one, single ones of the other.
    CaptureTap::Attach(session, packet % 100 == 99 ? 2 : 0);
    VsockHeader header = Packet(VIRTIO_VSOCK_OP_RW);
    header.fwd_cnt = packet;
    Move(kFromWeb, header);
    CaptureTap::Detach(*session);
  }
  CaptureReader reader(session, MakePcapWriter(CaptureWriter::kHeaderBytes), {});
  std::string file;
  reader.Begin(file);
  reader.Name(kFromWeb.key(), {});
  EXPECT_EQ(reader.Read(SIZE_MAX, file), Progress::kDrained);
  uint32_t next = 0;
  for (const CaptureContents::Packet& packet : testing::ReadCapture(file).packets) {
    EXPECT_EQ(packet.header.fwd_cnt, next++);
  }
  EXPECT_EQ(next, kPackets);
}

// Threads write into lanes of their own; the file has all of them, the packets of each in order.
TEST(CaptureThreadsTest, EachThreadHasItsLane) {
  constexpr size_t kThreads = 3;
  constexpr uint32_t kPackets = 2000;
  const auto session = std::make_shared<CaptureSession>(CaptureFilter(), 0, kThreads, nullptr);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&session, i] {
      CaptureTap::Attach(session, i);
      for (uint32_t packet = 0; packet < kPackets; ++packet) {
        VsockHeader header = Packet(VIRTIO_VSOCK_OP_RW);
        header.src_cid = 100 + i;
        header.fwd_cnt = packet;
        Move(kFromWeb, header);
      }
      CaptureTap::Detach(*session);
    });
  }
  CaptureReader reader(session, MakePcapWriter(CaptureWriter::kHeaderBytes), {});
  std::string file;
  reader.Begin(file);
  reader.Name(kFromWeb.key(), {});
  while (reader.packets() < kThreads * kPackets) reader.Read(SIZE_MAX, file);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(session->lost(), 0u);
  std::vector<uint32_t> next(kThreads);
  const CaptureContents contents = testing::ReadCapture(file);
  EXPECT_EQ(contents.fault, "");
  for (const CaptureContents::Packet& packet : contents.packets) {
    EXPECT_EQ(packet.header.fwd_cnt, next.at(packet.header.src_cid - 100)++);
  }
  EXPECT_THAT(next, ::testing::Each(kPackets));
}

}  // namespace
}  // namespace kinsock
