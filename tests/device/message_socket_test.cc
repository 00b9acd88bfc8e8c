// SPDX-License-Identifier: Apache-2.0
#include "device/message_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/unique_fd.h"

namespace kinsock {
namespace {

using Status = PeekedMessage::Status;

class MessageSocketTest : public ::testing::Test {
 protected:
  MessageSocketTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = UniqueFd(ends[0]);
    theirs_ = UniqueFd(ends[1]);
    EXPECT_TRUE(PrepareMessageSocket(ours_.get(), 64 * 1024));
  }
  void TheySend(const std::string& message) {
    ASSERT_EQ(send(theirs_.get(), message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
  }
  // Up to `limit` bytes, and what was told of the message.
  std::pair<std::string, PeekedMessage> Take(size_t limit) {
    std::string buffer(limit, '\0');
    const iovec piece{buffer.data(), limit};
    const PeekedMessage message = PeekMessage(ours_.get(), absl::MakeConstSpan(&piece, 1));
    buffer.resize(std::min<size_t>(limit, message.rest));
    if (message.status == Status::kMessage && message.rest <= limit) DropMessage(ours_.get());
    return {buffer, message};
  }

  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(MessageSocketTest, AMessageIsTakenPieceByPiece) {
  TheySend("abcdefghij");
  TheySend("next");
  for (const auto& [text, rest] :
       {std::pair("abcd", 10u), std::pair("efgh", 6u), std::pair("ij", 2u), std::pair("next", 4u)}) {
    const auto [got, message] = Take(4);
    EXPECT_EQ(got, text);
    EXPECT_EQ(message.rest, rest);
  }
  EXPECT_EQ(Take(4).second.status, Status::kWouldBlock);
}

TEST_F(MessageSocketTest, AnEmptyMessageIsNotEndOfFile) {
  TheySend("");
  TheySend("a");
  TheySend("");
  theirs_.reset();
  for (const char* text : {"", "a", ""}) {
    const auto [got, message] = Take(10);
    EXPECT_EQ(message.status, Status::kMessage);
    EXPECT_EQ(got, text);
  }
  EXPECT_EQ(Take(10).second.status, Status::kEndOfFile);
}

TEST_F(MessageSocketTest, WhatWasSentBeforeAnAbruptCloseIsStillRead) {
  const iovec unread{const_cast<char*>("unread"), 6};
  ASSERT_EQ(SendMessage(ours_.get(), absl::MakeConstSpan(&unread, 1)), SendMessageResult::kSent);
  TheySend("last words");
  EXPECT_EQ(Take(4).first, "last");
  theirs_.reset();  // between two pieces
  EXPECT_EQ(Take(10).first, " words");
  EXPECT_EQ(Take(10).second.status, Status::kEndOfFile);
}

TEST_F(MessageSocketTest, AnErrorThatComesBeforeTheEndIsTakenDoesNotRepeatTheMessage) {
  const iovec unread{const_cast<char*>("unread"), 6};
  ASSERT_EQ(SendMessage(ours_.get(), absl::MakeConstSpan(&unread, 1)), SendMessageResult::kSent);
  TheySend("once");
  char buffer[8];
  const iovec piece{buffer, sizeof(buffer)};
  ASSERT_EQ(PeekMessage(ours_.get(), absl::MakeConstSpan(&piece, 1)).rest, 4u);
  theirs_.reset();
  DropMessage(ours_.get());
  EXPECT_EQ(Take(8).second.status, Status::kEndOfFile);
}

TEST_F(MessageSocketTest, DescriptorsAreNotTaken) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  UniqueFd reader(pipe_ends[0]);
  UniqueFd writer(pipe_ends[1]);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec piece{const_cast<char*>("x"), 1};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  *reinterpret_cast<int*>(CMSG_DATA(rights)) = writer.get();
  ASSERT_EQ(sendmsg(theirs_.get(), &message, 0), 1);
  writer.reset();
  EXPECT_EQ(Take(10).first, "x");
  // Nobody holds the writing end any more.
  char byte;
  EXPECT_EQ(read(reader.get(), &byte, 1), 0);
}

TEST_F(MessageSocketTest, TheLargestMessageFits) {
  const std::string largest(256 * 1024, 'x');
  const iovec piece{const_cast<char*>(largest.data()), largest.size()};
  ASSERT_TRUE(PrepareMessageSocket(ours_.get(), 256 * 1024));
  EXPECT_EQ(SendMessage(ours_.get(), absl::MakeConstSpan(&piece, 1)), SendMessageResult::kSent);
  std::string buffer(largest.size() + 1, '\0');
  EXPECT_EQ(recv(theirs_.get(), buffer.data(), buffer.size(), 0), static_cast<ssize_t>(largest.size()));
}

TEST_F(MessageSocketTest, AFullSocketIsBusyAndOneTooSmallSaysSo) {
  const std::string text(32 * 1024, 'x');
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  SendMessageResult result;
  while ((result = SendMessage(ours_.get(), absl::MakeConstSpan(&piece, 1))) == SendMessageResult::kSent) {
  }
  EXPECT_EQ(result, SendMessageResult::kBusy);
  const std::string huge(64u << 20, 'x');
  const iovec huge_piece{const_cast<char*>(huge.data()), huge.size()};
  EXPECT_EQ(SendMessage(ours_.get(), absl::MakeConstSpan(&huge_piece, 1)), SendMessageResult::kTooLarge);
  theirs_.reset();
  while ((result = SendMessage(ours_.get(), absl::MakeConstSpan(&piece, 1))) == SendMessageResult::kSent) {
  }
  EXPECT_EQ(result, SendMessageResult::kGone);
}

}  // namespace
}  // namespace kinsock
