import HoldfastServer
import Model
import Testing

/// What the status page makes of what it is told.
@Suite struct StatusPageTests {
    private static let hostile = "<script>alert(1)</script>\"'&"
    private static let text = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"

    private func facts(_ change: (inout StatusFacts) -> Void = { _ in }) -> StatusFacts {
        var facts = StatusFacts()
        facts.isGreen = true
        facts.made = Timestamp(microseconds: 1_700_000_000_000_000)
        facts.directory = "/srv/store"
        change(&facts)
        return facts
    }

    private func content(_ facts: StatusFacts) -> String { StatusPage(facts).content.text }

    @Test func theMostUrgentThingIsTheVerdict() {
        #expect(facts().verdict == .green)
        #expect(facts { $0.isGreen = false }.verdict == .healing)
        let wait = StatusFacts.Concern(.wait, "w", doing: "d")
        let look = StatusFacts.Concern(.look, "l", doing: "d")
        let act = StatusFacts.Concern(.act, "a", doing: "d")
        #expect(
            facts {
                $0.concerns = [wait]
                $0.isGreen = false
            }.verdict == .healing)
        #expect(facts { $0.concerns = [wait, look] }.verdict == .look)
        #expect(facts { $0.concerns = [look, act, wait] }.verdict == .act)
    }

    @Test func whatCannotBeReadIsNeverGreen() {
        #expect(facts { $0.isGreen = nil }.verdict == .unknown)
        let unreadable = facts { $0.unreadable = ["events: the disk is gone"] }
        #expect(unreadable.verdict == .unknown)
        #expect(content(unreadable).contains("the disk is gone"))
    }

    @Test func everyValueThatSomebodyElseChoseIsText() {
        let page = content(
            facts { facts in
                let hostile = Self.hostile
                facts.directory = hostile
                facts.unreadable = [hostile]
                facts.concerns = [.init(.act, hostile, doing: hostile, remedy: hostile, command: hostile)]
                var volume = StatusFacts.Volume()
                (volume.path, volume.reason, volume.state) = (hostile, hostile, hostile)
                facts.volumes = [volume]
                var incident = StatusFacts.Incident()
                var owner = StatusFacts.Incident.Owner()
                (owner.name, owner.words, owner.versions) = (hostile, hostile, 1)
                (incident.reason, incident.outcome, incident.words) = (hostile, hostile, hostile)
                (incident.owners, incident.versions, incident.counted) = ([owner], 1, facts.made)
                facts.incidents = [incident]
                var job = StatusFacts.Job()
                (job.name, job.detail, job.last) = (hostile, hostile, hostile)
                facts.jobs = [job]
                var repository = StatusFacts.Repository()
                (repository.name, repository.error) = (hostile, hostile)
                facts.repositories = [repository]
                var sink = StatusFacts.Sink()
                (sink.name, sink.target, sink.error) = (hostile, hostile, hostile)
                facts.sinks = [sink]
                var event = StatusFacts.Event()
                (event.actor, event.text) = (hostile, hostile)
                (facts.events, facts.notable) = ([event], [event])
            })
        #expect(!page.contains("<script"))
        let places = page.split(separator: Self.text, omittingEmptySubsequences: false).count - 1
        #expect(places >= 22)
    }

    @Test func whatIsTooMuchIsCounted() {
        let page = content(
            facts { facts in
                var incident = StatusFacts.Incident()
                (incident.versions, incident.counted, incident.moreOwners) = (9, facts.made, 7)
                facts.incidents = [incident]
                facts.moreIncidents = 3
            })
        #expect(page.contains("and 7 owners more") && page.contains("and 3 incidents more"))
    }

    @Test func aStateIsAWordAndNotOnlyAColour() {
        let page = content(
            facts { facts in
                var volume = StatusFacts.Volume()
                (volume.state, volume.tone, volume.reason) = ("set aside", .bad, "it does not answer")
                facts.volumes = [volume]
            })
        #expect(page.contains("<span class=\"badge bad\">set aside</span>"))
        #expect(page.contains("it does not answer"))
    }

    @Test func progressSaysHowLongTheRestTakes() {
        let page = content(
            facts { facts in
                var volume = StatusFacts.Volume()
                (volume.part, volume.secondsLeft, volume.lagEvents) = (0.625, 240, 1)
                facts.volumes = [volume]
            })
        #expect(page.contains("62 %, about 4 min left, 1 event behind"))
    }
}
