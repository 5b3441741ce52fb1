import Foundation
import HoldfastServer
import S3
import TestSupport
import Testing

@Suite struct UserTests {
    private static let policy =
        #"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#

    private let disk = SimulatedFileSystem()

    private func open() throws -> KeyStore { try KeyStore(stateDirectory: "/state", fileSystem: disk) }

    @Test func aUserHasANameAKeyAndACanonicalID() throws {
        let store = try open()
        let key = try store.createUser("alice", displayName: "Alice L.")
        let found = try #require(store.identity(accessKey: key.accessKey))
        #expect(found.userName == "alice" && found.displayName == "Alice L." && !found.isRoot)
        #expect(found.policies == nil, "a user without policies costs nothing")
        let user = try store.user("alice")
        #expect(user.canonicalID == found.userID && store.displayName(userID: found.userID) == "Alice L.")
        #expect(store.displayName(userID: "nobody") == nil)
        let other = try store.create(user: "alice")
        #expect(store.identity(accessKey: other.accessKey)?.displayName == "Alice L.")
        #expect(store.users.count == 1)
        #expect(try open().users == store.users && open().all == store.all)
    }

    @Test func aNameLeadsToItsCanonicalIDWhateverItIsShownAs() throws {
        let store = try open()
        _ = try store.createUser("alice", displayName: "bob")
        _ = try store.createUser("bob", displayName: "Alice L.")
        #expect(try store.canonicalID(named: "alice") == store.user("alice").canonicalID)
        #expect(try store.canonicalID(named: "bob") == store.user("bob").canonicalID)
        #expect(store.canonicalID(named: "Alice L.") == nil)
        let root = try #require(try store.makeRootKeyIfNeeded())
        #expect(store.canonicalID(named: "root") == store.identity(accessKey: root.accessKey)?.userID)
    }

    @Test func whatCannotBeAUserIsRefusedAndChangesNothing() throws {
        let store = try open()
        _ = try store.createUser("alice", accessKey: "ALICESKEY", secretKey: "alices-secret")
        let attempts: [(name: String, key: String?, secret: String?)] = [
            ("alice", nil, nil), ("root", nil, nil), ("", nil, nil), ("a b", nil, nil), ("a/b", nil, nil),
            ("bob", "ALICESKEY", "other-secret"), ("bob", "BOBSKEY", nil), ("bob", nil, "bobs-secret"),
            ("bob", "BO", "bobs-secret"), ("bob", "BOBSKEY", "short"),
            (String(repeating: "x", count: 65), nil, nil),
        ]
        for (name, key, secret) in attempts {
            #expect(throws: KeyError.self, "\(name)") {
                try store.createUser(name, accessKey: key, secretKey: secret)
            }
        }
        #expect(throws: KeyError.self) { try store.create(user: "a/b") }
        #expect(store.users.map(\.name) == ["alice"] && store.all.count == 1)
    }

    @Test func aPolicyCountsAtOnceAndForEveryKey() throws {
        let store = try open()
        let first = try store.createUser("alice")
        let second = try store.create(user: "alice")
        try store.putPolicy("read", Self.policy, of: "alice")
        let policies = store.identity(accessKey: first.accessKey)?.policies
        #expect(policies != nil && store.identity(accessKey: second.accessKey)?.policies == policies)
        #expect(try store.user("alice").policies == ["read": Self.policy])
        #expect(try open().user("alice").policies == ["read": Self.policy])
        try store.deletePolicy("read", of: "alice")
        #expect(store.identity(accessKey: first.accessKey)?.policies == nil)
        #expect(throws: KeyError.self) { try store.deletePolicy("read", of: "alice") }
        #expect(throws: KeyError.self) { try store.putPolicy("bad", "{", of: "alice") }
        #expect(throws: KeyError.self) { try store.putPolicy("a b", Self.policy, of: "alice") }
        #expect(throws: KeyError.self) { try store.putPolicy("read", Self.policy, of: "nobody") }
        #expect(throws: KeyError.self) { try store.putPolicy("read", Self.policy, of: "root") }
        let long = Self.policy + String(repeating: " ", count: 20 * 1024)
        #expect(throws: KeyError.self) { try store.putPolicy("long", long, of: "alice") }
    }

    @Test func whoeverGetsTheNameOfADeletedUserIsSomebodyElse() throws {
        let store = try open()
        _ = try store.createUser("alice")
        let first = try store.user("alice").canonicalID
        #expect(first.count == 64 && first.allSatisfy(\.isHexDigit))
        #expect(try open().user("alice").canonicalID == first, "it is kept")
        try store.deleteUser("alice")
        let key = try store.create(user: "alice")
        let second = try store.user("alice").canonicalID
        #expect(second != first && store.identity(accessKey: key.accessKey)?.userID == second)
        #expect(store.displayName(userID: first) == nil)
    }

    @Test func aCanonicalIDIsGivenBackToOneUserAndNoOther() throws {
        let store = try open()
        _ = try store.createUser("alice")
        let id = try store.user("alice").canonicalID
        let root = try #require(
            KeyStore(
                stateDirectory: "/other",
                environment: [
                    "HOLDFAST_ROOT_ACCESS_KEY": "ROOTKEY", "HOLDFAST_ROOT_SECRET_KEY": "root-secret",
                ],
                fileSystem: disk
            ).identity(accessKey: "ROOTKEY"))
        for taken in [id, root.userID, "", "x", id.uppercased(), id + "0", String(repeating: "g", count: 64)]
        {
            #expect(throws: KeyError.self, "\(taken)") { try store.createUser("bob", canonicalID: taken) }
        }
        #expect(store.users.map(\.name) == ["alice"])
        try disk.remove("/state/keys.json")
        let again = try open()
        let key = try again.createUser("alice.2", canonicalID: id)
        #expect(again.identity(accessKey: key.accessKey)?.userID == id)
        #expect(try open().displayName(userID: id) == "alice.2")
    }

    /// It could say anything: the user is denied everything, and the store opens for all others.
    @Test func aStoredPolicyThatCannotBeReadDeniesItsUserAlone() throws {
        let keys = #"""
            {"format": 3, "keys": [
              {"accessKey": "ALICESKEY", "created": "", "isRoot": false, "secretKey": "secret-a", "user": "alice"},
              {"accessKey": "BOBSKEY", "created": "", "isRoot": false, "secretKey": "secret-b", "user": "bob"}],
            "users": [
              {"created": "", "displayName": "A", "name": "alice", "policies": {"broken": "{"}},
              {"created": "", "displayName": "B", "name": "bob", "policies": {
                "old": "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:GetObjct\", \"Resource\": \"*\"}}"}}]}
            """#
        try disk.place(Array(keys.utf8), at: "/state/keys.json")
        let store = try open()
        let flaw = try #require(store.identity(accessKey: "ALICESKEY")?.policies?.flaw)
        #expect(flaw.contains("'broken'") && flaw.contains("alice"))
        let bob = try #require(store.identity(accessKey: "BOBSKEY")?.policies)
        #expect(bob.flaw == nil, "an action that there is not was taken before, and never applies")
        try store.deletePolicy("broken", of: "alice")
        #expect(store.identity(accessKey: "ALICESKEY")?.policies == nil)
        #expect(throws: KeyError.self) {
            try store.putPolicy(
                "typo", #"{"Statement":{"Effect":"Deny","Action":"s3:GetObjct","Resource":"*"}}"#, of: "bob")
        }
    }

    @Test func aDeletedUsersKeysAreRefused() throws {
        let store = try open()
        let keys = [try store.createUser("alice"), try store.create(user: "alice")]
        let bob = try store.createUser("bob")
        try store.deleteUser("alice")
        for key in keys { #expect(store.identity(accessKey: key.accessKey) == nil) }
        #expect(store.users.map(\.name) == ["bob"] && store.all == [bob])
        #expect(throws: KeyError.self) { try store.deleteUser("alice") }
        #expect(throws: KeyError.self) { try store.deleteUser("root") }
    }
}
