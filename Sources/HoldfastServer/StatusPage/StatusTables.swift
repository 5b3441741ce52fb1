import Model

/// The parts of the status page that are tables and numbers.
struct StatusTables {
    let facts: StatusFacts

    init(_ facts: StatusFacts) { self.facts = facts }

    private func section(_ id: String, _ title: String, _ body: HTML) -> HTML {
        "<section id=\"\(id)\"><h2>\(title)</h2>\n\(body)</section>\n"
    }

    private func table(_ caption: String, _ columns: [String], _ rows: [HTML]) -> HTML {
        let heads = columns.map { "<th scope=\"col\">\($0)</th>" as HTML }
        return """
            <div class="wide"><table><caption>\(caption)</caption>
            <thead><tr>\(heads)</tr></thead>
            <tbody>\(rows)</tbody></table></div>
            """
    }

    private func badge(_ tone: StatusFacts.Tone, _ word: String) -> HTML {
        "<span class=\"badge \(tone.rawValue)\">\(word)</span>"
    }

    private func time(_ time: Timestamp?, else none: String) -> HTML {
        guard let time else { return "\(none)" }
        return "<time datetime=\"\(time.description)\">\(PageText.ago(time, facts.made))</time>"
    }

    // MARK: Throughput

    var throughput: HTML {
        let traffic = facts.throughput
        let now = traffic.now ?? .init()
        let tiles = [
            tile("Requests", rate(now.requestsPerSecond), "a second"),
            tile("Taken in", PageText.size(UInt64(now.receivedPerSecond)), "a second"),
            tile("Sent", PageText.size(UInt64(now.sentPerSecond)), "a second"),
            tile("Server errors", rate(now.failuresPerSecond), "a second", isBad: now.failuresPerSecond > 0),
            tile("Half within", milliseconds(traffic.median), "of the last requests"),
            tile("99 of 100 within", milliseconds(traffic.p99), "of the last requests"),
            tile("Under way", "\(traffic.inFlight)", "and \(traffic.waiting) waiting"),
            tile("Connections", "\(traffic.connections)", "open"),
        ]
        return section(
            "throughput", "Throughput", "<ul class=\"tiles\">\(tiles)</ul>\(chart)")
    }

    private func tile(_ name: String, _ value: String, _ unit: String, isBad: Bool = false) -> HTML {
        let tone: HTML = isBad ? " class=\"bad\"" : ""
        return "<li\(tone)><span>\(name)</span><b>\(value)</b><small>\(unit)</small></li>"
    }

    private func rate(_ value: Double) -> String {
        value == 0 || value >= 10 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
    }

    private func milliseconds(_ value: Double?) -> String {
        guard let value else { return "–" }
        return value < 10 ? "\((value * 10).rounded() / 10) ms" : "\(Int(value.rounded())) ms"
    }

    /// Requests of the last minutes, drawn: the same is in words beside it.
    private var chart: HTML {
        let values = facts.throughput.history.map(\.requestsPerSecond)
        guard values.count > 1, let most = values.max() else {
            return "<p class=\"none\">A chart comes when there is something to draw.</p>"
        }
        let scale = max(most, 1)
        let width = 600.0
        let height = 80.0
        let step = width / Double(ThroughputSampler.count - 1)
        let start = width - step * Double(values.count - 1)
        let points = values.enumerated().map { index, value in
            let x = ((start + Double(index) * step) * 10).rounded() / 10
            let y = ((height - value / scale * height) * 10).rounded() / 10
            return "\(x),\(y)"
        }.joined(separator: " ")
        let minutes = Int(ThroughputSampler.interval * Double(ThroughputSampler.count) / 60)
        let words = "Requests a second over the last \(minutes) minutes, \(rate(most)) at most"
        return """
            <figure><svg viewBox="0 0 600 80" preserveAspectRatio="none" role="img" aria-label="\(words)"><polyline points="\(points)"/></svg>
            <figcaption>\(words)</figcaption></figure>
            """
    }

    // MARK: Repositories

    var repositories: HTML {
        guard !facts.repositories.isEmpty else {
            return section(
                "repositories", "Snapshots",
                "<p class=\"none\">No repository is in the settings: nothing is copied elsewhere by itself.</p>"
            )
        }
        let rows = facts.repositories.map { repository -> HTML in
            """
            <tr><th scope="row">\(repository.name)</th><td>\(time(repository.snapshot, else: "none yet"))</td>\
            <td>\(judged(repository.verification, repository.isVerificationGood, bad: "damage found"))</td>\
            <td>\(judged(repository.drill, repository.isDrillGood, bad: "failed"))</td><td>\(repository.error)</td></tr>

            """
        }
        return section(
            "repositories", "Snapshots",
            table(
                "Repositories, and how old what they have is",
                ["Repository", "Newest snapshot", "Verified", "Drill", "Trouble"], rows))
    }

    private func judged(_ succeeded: Timestamp?, _ isGood: Bool?, bad: String) -> HTML {
        guard isGood == false else { return time(succeeded, else: "not yet") }
        return "\(badge(.bad, bad)) good \(time(succeeded, else: "never"))"
    }

    // MARK: Jobs and sinks

    var jobs: HTML {
        let rows = facts.jobs.map { job -> HTML in
            let percent = job.part.map { " \(PageText.percent($0)) %" } ?? ""
            let next = job.next.map { PageText.until($0, facts.made) } ?? ""
            return
                "<tr><th scope=\"row\">\(job.name)</th><td>\(badge(job.tone, job.state))\(percent) \(job.detail)</td><td>\(job.last)</td><td>\(next)</td></tr>\n"
        }
        return section(
            "jobs", "Jobs",
            table("What the server does by itself", ["Job", "State", "Last", "Next"], rows))
    }

    var sinks: HTML {
        guard !facts.sinks.isEmpty else { return "<section id=\"sinks\" hidden></section>\n" }
        let rows = facts.sinks.map { sink -> HTML in
            """
            <tr><th scope="row">\(sink.name)</th><td>\(badge(sink.tone, sink.state))</td><td>\(sink.lag)</td>\
            <td>\(time(sink.lastDelivery, else: "not since the start"))</td><td>\(sink.deadLetters)</td><td>\(sink.error)</td></tr>

            """
        }
        return section(
            "sinks", "Sinks",
            table(
                "Who is told of what happens",
                ["Sink", "State", "Events behind", "Last delivery", "Dead letters", "Trouble"], rows))
    }

    // MARK: Events

    func events(_ id: String, _ title: String, _ events: [StatusFacts.Event], _ caption: String) -> HTML {
        guard !events.isEmpty else {
            return section(id, title, "<p class=\"none\">Nothing yet.</p>")
        }
        let rows = events.map { event -> HTML in
            "<tr><td>\(event.sequence)</td><td>\(time(event.time, else: ""))</td><td><bdi>\(event.actor)</bdi></td><td><bdi>\(event.text)</bdi></td></tr>\n"
        }
        return section(id, title, table(caption, ["Event", "When", "Who", "What"], rows))
    }
}
