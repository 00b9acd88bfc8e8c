// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_WEB_WATCHED_GUESTS_H_
#define KINSOCK_TESTS_WEB_WATCHED_GUESTS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/web/http_client.h"

namespace kinsock::testing {

// All of the daemon with its HTTP socket, a client of that, and two guests to be watched.
class WatchedGuests : public ::testing::Test {
 protected:
  explicit WatchedGuests(Config config = {}) : daemon_(std::move(config), nullptr, true) {}

  // `guest` runs as that VM; in `group`, unless that is empty, else in the default one.
  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest, const std::string& group = "") {
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
    if (!group.empty()) request.mutable_vm()->mutable_spec()->add_groups(group);
    v1::Vm vm;
    ASSERT_TRUE(daemon_.Create(request, &vm).ok());
    ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
    EXPECT_TRUE(stage_.RunUntil([&] {
      v1::Vm now;
      return daemon_.Get(vm.name(), &now).ok() && now.status().state() == v1::VmStatus::ACTIVE;
    }));
  }

  // `bytes` from a program in `from` to one in `to`; the connection stays. The end of the former.
  Stream Send(SimulatedGuest& from, SimulatedGuest& to, uint64_t bytes) {
    to.Listen(80);
    Stream client = from.Connect(to.cid(), 80);
    Stream server = to.Accept(80);
    server.ExpectPattern(1);
    client.SendPattern(1, bytes);
    EXPECT_TRUE(stage_.RunUntil([&] { return server.received_bytes() == bytes; }));
    return client;
  }

  RunningDaemon daemon_;
  Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_};
  HttpClient http_{daemon_.http_socket()};
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_WEB_WATCHED_GUESTS_H_
