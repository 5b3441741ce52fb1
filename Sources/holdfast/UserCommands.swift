import ArgumentParser
import Foundation
import HoldfastServer
import ObjectStore

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Make, show and delete users, and say what they may do.",
        discussion:
            "Example:\n  holdfast user create /srv/holdfast alice --display-name 'Alice'\n  holdfast user policy put /srv/holdfast alice read-only policy.json",
        subcommands: [Create.self, List.self, Delete.self, Policy.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Make a user with an access key, and print the key with its secret, once.",
            discussion: "Example:\n  holdfast user create /srv/holdfast alice --display-name 'Alice'")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name: letters, digits and +=,.@_-") var name: String
        @Option(help: "What objects and lists show. (default: the name)") var displayName: String?
        @Option(help: "The access key. (default: a random one)") var keyID: String?
        @Option(help: "The access key's secret. (default: a random one)") var secret: String?
        @Option(
            help:
                "The canonical id, of a user whom the store has known before: the buckets that belong to it are the user's again. (default: a random one)"
        )
        var canonicalID: String?
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(
                .createUser(
                    name: name, displayName: displayName, accessKey: keyID, secretKey: secret,
                    canonicalID: canonicalID, json: json))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the users but root.",
            discussion: "Example:\n  holdfast user list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each user.") var json = false

        func run() async throws { try await location.perform(.listUsers(json: json)) }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete a user with the user's keys and policies.",
            discussion: "Example:\n  holdfast user delete /srv/holdfast alice")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name.") var name: String
        @Flag(help: "Also if the user owns buckets: they stay, and only root has them.") var force = false
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.deleteUser(name: name, force: force, json: json))
        }
    }

    struct Policy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "policy",
            abstract:
                "Put, show and delete the policies of a user. A user without has all rights to what is theirs.",
            discussion: "Example:\n  holdfast user policy put /srv/holdfast alice read-only policy.json",
            subcommands: [Put.self, ListPolicies.self, Show.self, DeletePolicy.self])
    }
}

extension UserCommand.Policy {
    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "put", abstract: "Put a policy in force, in the place of one of the same name.",
            discussion: "Example:\n  holdfast user policy put /srv/holdfast alice read-only policy.json")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name.") var user: String
        @Argument(help: "The policy's name.") var policy: String
        @Argument(help: "A file with an AWS policy document; - reads the standard input.") var file: String =
            "-"
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                try await location.perform(
                    .putUserPolicy(user: user, policy: policy, document: try document(), json: json))
            }
        }

        private func document() throws -> String {
            let bytes: Data
            do {
                bytes =
                    file == "-"
                    ? try FileHandle.standardInput.readToEnd() ?? Data()
                    : try Data(contentsOf: URL(fileURLWithPath: file))
            } catch {
                throw StoreError.invalidState("\(file) cannot be read: \(error.localizedDescription)")
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw StoreError.invalidState("\(file) is not UTF-8")
            }
            return text
        }
    }

    struct ListPolicies: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the names of a user's policies.",
            discussion: "Example:\n  holdfast user policy list /srv/holdfast alice")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name.") var user: String
        @Flag(help: "Print one JSON object for each policy.") var json = false

        func run() async throws { try await location.perform(.listUserPolicies(user: user, json: json)) }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show a policy as it was put.",
            discussion: "Example:\n  holdfast user policy show /srv/holdfast alice read-only")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name.") var user: String
        @Argument(help: "The policy's name.") var policy: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.showUserPolicy(user: user, policy: policy, json: json))
        }
    }

    struct DeletePolicy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete a policy of a user.",
            discussion: "Example:\n  holdfast user policy delete /srv/holdfast alice read-only")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The user's name.") var user: String
        @Argument(help: "The policy's name.") var policy: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.deleteUserPolicy(user: user, policy: policy, json: json))
        }
    }
}
