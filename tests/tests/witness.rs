//! Witnesses in the lattice. The site is its own: what it collects it asks of its own gateway, so
//! both directions take the whole way.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, ensure};
use fieldledger_cosigning::{Cosigning, CosigningSettings};
use fieldledger_e2e::plant::{PATIENCE, Plant, until};
use fieldledger_ledger::{Config, Ledger};
use fieldledger_site::SiteOptions;
use fieldledger_verifier::note::open;
use fieldledger_verifier::policy::Policy;
use serde_json::json;

const WITNESS: &str = "plant.example/witness";

/// Makes the keys before the site starts, as an operator would read them from a first start.
fn watch_itself(options: &mut SiteOptions) -> Result<String> {
    let folder = options.state.join("ledger");
    let ledger = Ledger::open(Config::new(&folder))?;
    let settings = CosigningSettings {
        witness_name: WITNESS.to_owned(),
        witness_dir: options.state.join("witness"),
        ..CosigningSettings::default()
    };
    let cosigning = Cosigning::start(&ledger, &folder, settings)?;
    let witness = cosigning.witness_status().context("it is a witness")?;
    let log = ledger.checkpoint().verifier_key;
    ledger.close();
    let policy = format!(
        "log {log}\nwitness own {} http://127.0.0.1:{}/witness\nquorum own\n",
        witness.key, options.http_port
    );
    options.set("ledger", "witness_policy", &policy);
    options.set("ledger", "witness_behaviour", "hold");
    options.set("ledger", "witness_name", WITNESS);
    options.set("ledger", "witness_logs", &format!("logs/v0\nvkey {log}\n"));
    Ok(policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_witnessed_over_http() -> Result<()> {
    let mut policy = Ok(String::new());
    let plant = Plant::start_with(|options| policy = watch_itself(options)).await?;
    let (api, policy) = (&plant.api, policy?);
    let arguments = ["--sensors", "3", "--interval", "200"];
    let simulator = plant.site.start_simulator("simulator", &arguments).await?;
    let status = until("a tree of 20 is witnessed", PATIENCE, async || {
        let status = api.get_json("/api/log/witnesses").await?;
        let size = status["own"]["witnessed_size"].as_u64();
        Ok((size >= Some(20)).then_some(status))
    })
    .await?;
    simulator.stop().await;
    ensure!(status["own"]["witnessed"] == true, "{status}");
    ensure!(status["own"]["behaviour"] == "hold", "{status}");
    ensure!(status["as_witness"]["logs"][0]["refused"] == 0, "{status}");
    let witnessed = api.metric("fieldledger_checkpoint_witnessed").await?;
    ensure!(witnessed == 1.0, "{witnessed}");
    let health = api.get_json("/healthz").await?;
    ensure!(
        health["witnesses"] == json!("the published checkpoint is witnessed"),
        "{health}"
    );

    let (_, key) = api.checkpoint().await?;
    let note = std::fs::read_to_string(plant.path("ledger/witnessed/checkpoint"))?;
    ensure!(open(&note, &key)?.size >= 20, "{note}");
    ensure!(Policy::parse(&policy)?.judge(&note)?.satisfied, "{note}");

    let refused = api.post("/witness/add-checkpoint", "nonsense").await?;
    ensure!(refused.status == 400, "{refused:?}");
    ensure!(
        refused.header("content-type").starts_with("text/plain"),
        "{refused:?}"
    );
    plant.finish().await;
    Ok(())
}
